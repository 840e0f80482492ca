import { FerryError } from "#base/errors/ferryError.ts";

/** Says that the moment is wrong, and not the command or the document: elections, shutdowns, write conflicts, and the like. */
const PASSING = {
  HostUnreachable: 6,
  HostNotFound: 7,
  LockTimeout: 24,
  /** Cursors go with a restart and with an election: the reader opens another one at the same position. */
  CursorNotFound: 43,
  LockBusy: 46,
  MaxTimeMSExpired: 50,
  StaleShardVersion: 63,
  WriteConcernTimeout: 64,
  NetworkTimeout: 89,
  ShutdownInProgress: 91,
  LockFailed: 107,
  WriteConflict: 112,
  ConflictingOperationInProgress: 117,
  FailedToSatisfyReadPreference: 133,
  ReadConcernMajorityNotAvailableYet: 134,
  CappedPositionLost: 136,
  PooledConnectionsDropped: 145,
  StaleEpoch: 150,
  QueryPlanKilled: 175,
  PrimarySteppedDown: 189,
  NetworkInterfaceExceededTimeLimit: 202,
  ElectionInProgress: 216,
  TransactionTooOld: 225,
  RetryChangeStream: 234,
  CursorKilled: 237,
  SnapshotTooOld: 239,
  TransactionAborted: 244,
  SnapshotUnavailable: 246,
  StaleDbVersion: 249,
  StaleChunkHistory: 250,
  NoSuchTransaction: 251,
  TransactionCommitted: 256,
  ExceededTimeLimit: 262,
  PreparedTransactionInProgress: 267,
  MigrationConflict: 272,
  ClientDisconnect: 279,
  TransactionCoordinatorSteppingDown: 281,
  TransactionCoordinatorReachedAbortDecision: 282,
  TransactionExceededLifetimeLimitSeconds: 290,
  SplitHorizonChange: 303,
  ConnectionPoolExpired: 317,
  InterruptedDueToStorageChange: 355,
  TemporarilyUnavailable: 365,
  /** A write fence. */
  UserWritesBlocked: 371,
  ConnectionError: 384,
  ResourceExhausted: 402,
  PooledConnectionAcquisitionExceededTimeLimit: 407,
  AdmissionQueueOverflow: 433,
  RateLimitExceeded: 449,
  SocketException: 9001,
  NotWritablePrimary: 10107,
  InterruptedAtShutdown: 11600,
  Interrupted: 11601,
  InterruptedDueToReplStateChange: 11602,
  StaleConfig: 13388,
  NotPrimaryNoSecondaryOk: 13435,
  NotPrimaryOrSecondary: 13436,
  /** An operator will make room. */
  OutOfDiskSpace: 14031,
} as const;

/** Says that the command itself is wrong for this server or namespace: no document is to blame. */
const WRONG_COMMAND = {
  IllegalOperation: 20,
  NamespaceNotFound: 26,
  CommandNotFound: 59,
  InvalidOptions: 72,
  InvalidNamespace: 73,
  CommandNotSupported: 115,
  CommandNotSupportedOnView: 166,
  UnsupportedOpQueryCommand: 352,
} as const;

/**
 * The server's error codes that ferry knows, by the server's own names. Source: its `error_codes.yml`, and of the passing ones
 * the categories NetworkError, RetriableError, NotPrimaryError, Interruption, ShutdownError, SnapshotError,
 * StaleShardVersionError, ExceededTimeLimitError and SystemOverloadedError, as far as a client can see them.
 */
export const ServerCode = {
  ...PASSING,
  ...WRONG_COMMAND,
  Unauthorized: 13,
  AuthenticationFailed: 18,
  AlreadyInitialized: 23,
  IndexNotFound: 27,
  NamespaceExists: 48,
  ImmutableField: 66,
  KeyNotFound: 211,
  OperationNotSupportedInTransaction: 263,
  ChangeStreamFatalError: 280,
  ChangeStreamHistoryLost: 286,
  CannotConvertIndexToUnique: 359,
  CollectionUUIDMismatch: 361,
  AtlasError: 8000,
  BSONObjectTooLarge: 10334,
  DuplicateKey: 11000,
} as const;

export type ServerCode = (typeof ServerCode)[keyof typeof ServerCode];

const setOf = (codes: Readonly<Record<string, number>>): ReadonlySet<number> => new Set(Object.values(codes));
const PASSING_CODES = setOf(PASSING);
const WRONG_COMMAND_CODES = setOf(WRONG_COMMAND);

/** Does it say that the moment is wrong, and not the document? */
export const isPassingCode = (code: number): boolean => PASSING_CODES.has(code);

/** Does it say that the command is wrong, whatever the document? */
export const isWrongCommand = (code: number): boolean => WRONG_COMMAND_CODES.has(code);

/** The code that a server refused something with, from a translated error or from the driver's own; undefined for other errors. */
export const serverCodeOf = (error: unknown): number | undefined => {
  const code = error instanceof FerryError ? error.facts["serverCode"] : (error as { code?: unknown } | null)?.code;
  return typeof code === "number" ? code : undefined;
};

/** Did a server refuse something with one of these codes? */
export const hasServerCode = (error: unknown, ...codes: readonly ServerCode[]): boolean => {
  const code = serverCodeOf(error);
  return code !== undefined && (codes as readonly number[]).includes(code);
};

/** Is a change stream's position no longer in the oplog? */
export const isHistoryLost = (error: unknown): boolean =>
  hasServerCode(error, ServerCode.ChangeStreamHistoryLost, ServerCode.ChangeStreamFatalError);

/** Is a cursor gone on the server, so that it can be opened again where it was? */
export const isCursorGone = (error: unknown): boolean =>
  hasServerCode(
    error,
    ServerCode.CursorNotFound,
    ServerCode.CappedPositionLost,
    ServerCode.QueryPlanKilled,
    ServerCode.CursorKilled,
  );
