import type { FerryError } from "#base/errors/ferryError.ts";
import type { LogFields } from "./log.ts";

/** An error that is lived with, for a line of the log; with what is to be done where only an operator can do it. */
export const failureFields = ({ code, detail, entry: { retry, hint } }: FerryError): LogFields => ({
  code,
  err: detail,
  ...(retry === "operator" ? { hint } : {}),
});
