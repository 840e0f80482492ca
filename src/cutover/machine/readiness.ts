import type { FerryError } from "#base/errors/ferryError.ts";
import type { Parts } from "./parts.ts";

/** Everything that stands between now and a cutover; empty where it may begin. @throws FERRY_MONGO_*, FERRY_KAFKA_* */
export const unready = async ({ capture, fence, proof, deferred, wayBack }: Parts): Promise<readonly FerryError[]> =>
  (await Promise.all([capture, fence, proof, deferred, wayBack].map((part) => part.unready()))).flat();

/** The first of them, as a guard. */
export const firstOf = async ({ parts }: Readonly<{ parts: Parts }>): Promise<FerryError | undefined> =>
  (await unready(parts))[0];
