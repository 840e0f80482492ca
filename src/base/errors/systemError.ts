import { FerryError } from "./ferryError.ts";

/** What the operating system's codes about files say, in words. */
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "a part of the path is not a folder",
  EISDIR: "it is a folder",
  EEXIST: "a file of this name is in the way",
  EACCES: "this user may not use it",
  EPERM: "this user may not use it",
  EROFS: "the disk is read-only",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EMFILE: "this process has as many files open as it may (ulimit -n)",
  ENFILE: "the machine has as many files open as it may",
  ELOOP: "its links lead in a circle",
  ENAMETOOLONG: "the path is too long",
  ERR_ENCODING_INVALID_ENCODED_DATA: "it is not UTF-8 text; save it as UTF-8",
  ERR_INVALID_ARG_VALUE: "the path has a character that no path can have",
};

type SystemError = Error & Readonly<{ code: string; syscall?: string; path?: string; dest?: string }>;

const isSystemError = (error: unknown): error is SystemError =>
  error instanceof Error && typeof (error as { code?: unknown }).code === "string";

/** Why a file could not be used, in words. */
export const fileReason = (error: unknown): string => {
  if (!isSystemError(error)) return String(error);
  return REASONS[error.code] ?? `it cannot be used (${error.code})`;
};

/** An error of the operating system about a file or folder as ours; undefined for any other. */
export const fileError = (error: unknown): FerryError | undefined => {
  if (!isSystemError(error)) return undefined;
  const isFile = error.path !== undefined || (error.code in REASONS && error.syscall !== undefined);
  if (!isFile || error.syscall?.startsWith("spawn") || error.syscall === "connect") return undefined;
  return new FerryError("FERRY_FILE", `${error.path ?? error.syscall}: ${fileReason(error)}`, { cause: error });
};
