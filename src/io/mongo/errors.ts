import {
  type Document,
  MongoError,
  MongoNetworkError,
  MongoServerError,
  MongoServerSelectionError,
  MongoTopologyClosedError,
} from "mongodb";
import { elementsOf, type RawValue, rawField } from "#base/bson/rawValue.ts";
import type { ErrorCode } from "#base/errors/catalogue.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { refuser } from "./logins.ts";
import { isPassingCode, isWrongCommand, ServerCode } from "./serverCodes.ts";
import { whyUnreached } from "./unreached.ts";

const AUTH: ReadonlySet<number> = new Set([ServerCode.AuthenticationFailed, ServerCode.AtlasError]);

/** Not logged in: Unauthorized as well; only its text differs from a lack of privileges. */
export const isAnonymous = (message: string): boolean => /\brequires authentication$/.test(message);

const codeOf = (error: MongoServerError): ErrorCode => {
  const code = Number(error.code);
  if (
    isPassingCode(code) ||
    error.hasErrorLabel("TransientTransactionError") ||
    error.hasErrorLabel("RetryableWriteError")
  )
    return "FERRY_MONGO_TRANSIENT";
  if (AUTH.has(code)) return "FERRY_MONGO_AUTH";
  if (code === ServerCode.Unauthorized)
    return isAnonymous(error.message) ? "FERRY_MONGO_ANONYMOUS" : "FERRY_MONGO_PRIVILEGE";
  // ferry's transactions have no other command that MongoDB refuses in one.
  if (code === ServerCode.OperationNotSupportedInTransaction) return "FERRY_TARGET_CAPPED";
  if (isWrongCommand(code)) return "FERRY_MONGO_COMMAND";
  return "FERRY_MONGO_REJECTED";
};

/**
 * The server's text without the command that it refused to run: that may hold documents, and is as long as they are. The name
 * of the command says which action is meant.
 */
export const withoutCommand = (message: string): string =>
  message.replace(/^(not authorized on .+? to execute command) \{\s*"?(\w+)"?:.*$/s, "$1 $2");

type LookupError = Error & Readonly<{ code: string; syscall: string; hostname: string }>;

/** Of the names of a `mongodb+srv` URI: the driver passes Node's own error on. */
const isLookup = (error: unknown): error is LookupError =>
  error instanceof Error && /^(query|getaddrinfo)/.test(String((error as Partial<LookupError>).syscall));

const lookupText = ({ code, syscall, hostname }: LookupError): string =>
  `${syscall === "getaddrinfo" ? "the name" : `the ${syscall.slice("query".length).toUpperCase()} record`} ${hostname} cannot be resolved (${code})`;

/** Of the socket itself: the driver passes it on where a command was still being written when the server hung up. */
const isSocket = (error: unknown): error is Error =>
  error instanceof Error &&
  (/^(read|write|connect|shutdown)$/.test(String((error as NodeJS.ErrnoException).syscall)) ||
    /^ERR_STREAM_/.test(String((error as NodeJS.ErrnoException).code)));

/**
 * A driver error as ours, by numeric code, label and class, never by text. `phase` says what was being done.
 * Total: anything unknown comes back as FERRY_BUG with its cause.
 */
export const mongoError = (error: unknown, phase: string): FerryError => {
  if (isFerry(error)) return error;
  if (error instanceof MongoServerError) {
    const facts = {
      serverCode: Number(error.code),
      codeName: String(error["codeName"] ?? ""),
      keyPattern: error["keyPattern"],
    };
    const code = codeOf(error);
    const from = code === "FERRY_MONGO_AUTH" ? `${refuser(error)} refuses the login: ` : "";
    const detail = `${phase}: ${from}${withoutCommand(error.message)} (${error.code})`;
    return new FerryError(code, detail, { cause: error, facts });
  }
  if (error instanceof MongoServerSelectionError) {
    const inner = [...(error.reason?.servers.values() ?? [])].map((server) => server.error).find((e) => e !== null);
    if (inner instanceof MongoServerError && AUTH.has(Number(inner.code))) return mongoError(inner, phase);
    return new FerryError("FERRY_MONGO_UNREACHABLE", `${phase}: ${whyUnreached(error)}`, { cause: error });
  }
  if (isLookup(error))
    return new FerryError("FERRY_MONGO_UNREACHABLE", `${phase}: ${lookupText(error)}`, { cause: error });
  // Closed topology: another caller's first attempt to connect failed while this one waited for it.
  if (error instanceof MongoNetworkError || error instanceof MongoTopologyClosedError || isSocket(error))
    return new FerryError("FERRY_MONGO_UNREACHABLE", `${phase}: ${error.message}`, { cause: error });
  if (error instanceof MongoError) {
    // The client's own: a cleared pool, a transaction it already knows to be lost.
    const passing =
      error.hasErrorLabel("TransientTransactionError") ||
      error.hasErrorLabel("RetryableWriteError") ||
      error.name === "MongoPoolClearedError";
    return new FerryError(passing ? "FERRY_MONGO_TRANSIENT" : "FERRY_MONGO_COMMAND", `${phase}: ${error.message}`, {
      cause: error,
    });
  }
  return new FerryError("FERRY_BUG", `${phase}: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
  });
};

/** Runs one piece of driver work and translates what it throws. */
export const translated = async <T>(phase: string, work: () => Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    throw mongoError(error, phase);
  }
};

/** What the server's answer says besides code and text; empty where the error came from elsewhere. */
const answerOf = (error: unknown): Document =>
  error instanceof FerryError && error.cause instanceof MongoServerError ? error.cause.errorResponse : {};

/**
 * `_id`s of documents that keep an index from becoming unique, one list for each value (CannotConvertIndexToUnique).
 * The command was run with `raw`.
 */
export const violationsOf = (error: unknown): readonly (readonly RawValue[])[] =>
  ((answerOf(error)["violations"] ?? []) as Uint8Array[]).map((violation) => elementsOf(rawField(violation, "ids")));

/** The value that two documents share where a unique index was to be built (DuplicateKey), raw. The command was run with `raw`. */
export const duplicateOf = (error: unknown): Uint8Array | undefined =>
  answerOf(error)["keyValue"] as Uint8Array | undefined;
