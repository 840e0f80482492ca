import { CATALOGUE, type ErrorCode } from "#base/errors/catalogue.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { withoutSecrets } from "#base/errors/secrets.ts";

/** An answer that is no success: PROBLEM of contract/shapes.ts. */
export type Problem = Readonly<{
  status: number;
  headers: Readonly<Record<string, string>>;
  body: Readonly<{ code: ErrorCode; detail: string; hint: string }>;
}>;

const BY_CODE: Readonly<Partial<Record<ErrorCode, number>>> = {
  FERRY_API_TOKEN: 401,
  FERRY_API_ROLE: 403,
  FERRY_API_UNKNOWN: 404,
  FERRY_API_LIMIT: 429,
  FERRY_RUN_NONE: 404,
  FERRY_RUN_FINALIZED: 409,
  FERRY_CONTROL_WITHOUT: 409,
  FERRY_CUTOVER_WATCH: 409,
  FERRY_CUTOVER_EARLY: 409,
  FERRY_CUTOVER_NONE: 409,
  FERRY_ROLLBACK_NONE: 409,
  FERRY_API_STREAMS: 503,
  FERRY_STOPPED: 503,
};

/** What a command would exit with is what the answer says. */
const BY_EXIT: Readonly<Record<number, number>> = { 1: 409, 64: 400, 69: 503, 75: 503, 76: 409, 77: 503 };

/** What passes only when someone has done something is the state of the migration, not of a server. */
const statusOf = ({ code, entry: { exit, retry } }: FerryError): number =>
  BY_CODE[code] ?? (exit === 75 && retry === "never" ? 409 : BY_EXIT[exit]) ?? 500;

/** A request that Fastify itself refuses: malformed, too large, against the schema. */
type RefusedRequest = Error & Readonly<{ statusCode: number }>;

const isRefused = (error: unknown): error is RefusedRequest => {
  const { statusCode = 0 } = error as Partial<RefusedRequest>;
  return error instanceof Error && statusCode >= 400 && statusCode < 500;
};

const asFerry = (error: unknown): Readonly<{ status: number; error: FerryError }> => {
  if (isFerry(error)) return { status: statusOf(error), error };
  if (isRefused(error)) return { status: error.statusCode, error: new FerryError("FERRY_USAGE", error.message) };
  return { status: 500, error: new FerryError("FERRY_BUG", "the log of `ferry control` has the details") };
};

const headersOf = ({ code, facts }: FerryError): Problem["headers"] => {
  if (code === "FERRY_API_TOKEN") return { "www-authenticate": "Bearer" };
  return code === "FERRY_API_LIMIT" ? { "retry-after": String(facts["retryAfterSeconds"]) } : {};
};

/** What a client gets for an error. */
export const problemOf = (thrown: unknown): Problem => {
  const { status, error } = asFerry(thrown);
  const { code, detail } = error;
  return {
    status,
    headers: headersOf(error),
    body: { code, detail: withoutSecrets(detail), hint: CATALOGUE[code].hint },
  };
};
