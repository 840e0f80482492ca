import { isFerry } from "#base/errors/ferryError.ts";
import { mongoError } from "#io/mongo/errors.ts";

/** Did the server refuse the statement itself? A lost connection, or a fault in the code that was to send it, is none. */
export const isRefusal = (error: unknown): boolean =>
  isFerry(mongoError(error, "writing to the source"), "FERRY_MONGO_REJECTED");
