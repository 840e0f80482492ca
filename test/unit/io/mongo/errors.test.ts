import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON, type MongoClient, MongoServerError } from "mongodb";
import type { FerryError } from "#base/errors/ferryError.ts";
import type { TargetOp } from "#base/flow/types.ts";
import { mongoError } from "#io/mongo/errors.ts";
import { MongoSink } from "#sink/mongo/mongoSink.ts";

const refused = (errmsg: string): FerryError =>
  mongoError(new MongoServerError({ errmsg, code: 13 }), "writing documents");

test("a refused command is named without what was in it: no document, no session", () => {
  const told = refused(
    'not authorized on shop to execute command { insert: "users", documents: [ { email: "a@b.c",\n n: 1 } ], lsid: { id: UUID("8cb9b2de-da0b-4365-ae2c-4a5906c8cef2") }, $db: "shop" }',
  );
  assert.equal(told.code, "FERRY_MONGO_PRIVILEGE");
  assert.match(told.message, /writing documents: not authorized on shop to execute command insert \(13\)$/);
});

test("a missing login is reported as such, not as a missing privilege", () => {
  const { code, message } = refused("command listCollections requires authentication");
  assert.equal(code, "FERRY_MONGO_AUTH");
  assert.match(message, /: command listCollections requires authentication \(13\)$/);
});

test("a socket that breaks while a command is still being written is a server that went away", () => {
  for (const facts of [
    { syscall: "write", code: "ECONNRESET" },
    { syscall: "write", code: "EPIPE" },
    { syscall: "read", code: "ETIMEDOUT" },
    { code: "ERR_STREAM_DESTROYED" },
  ]) {
    const error = mongoError(Object.assign(new Error(`${facts.syscall} ${facts.code}`), facts), "looking");
    assert.equal(error.code, "FERRY_MONGO_UNREACHABLE", facts.code);
    assert.equal(error.entry.retry, "backoff");
  }
  assert.equal(
    mongoError(Object.assign(new Error(), { syscall: "open", code: "ENOENT" }), "looking").code,
    "FERRY_BUG",
  );
});

/**
 * What a code means for what was being written: `passes` is tried again, `refused` sets one document aside, the others stop.
 * Names as in the server's error_codes.yml.
 */
const CODES: Readonly<Record<string, readonly (readonly [code: number, name: string])[]>> = {
  FERRY_MONGO_TRANSIENT: [
    [6, "HostUnreachable"],
    [7, "HostNotFound"],
    [24, "LockTimeout"],
    [43, "CursorNotFound"],
    [46, "LockBusy"],
    [50, "MaxTimeMSExpired"],
    [64, "WriteConcernTimeout"],
    [89, "NetworkTimeout"],
    [91, "ShutdownInProgress"],
    [112, "WriteConflict"],
    [117, "ConflictingOperationInProgress"],
    [133, "FailedToSatisfyReadPreference"],
    [134, "ReadConcernMajorityNotAvailableYet"],
    [136, "CappedPositionLost"],
    [150, "StaleEpoch"],
    [175, "QueryPlanKilled"],
    [189, "PrimarySteppedDown"],
    [202, "NetworkInterfaceExceededTimeLimit"],
    [216, "ElectionInProgress"],
    [225, "TransactionTooOld"],
    [234, "RetryChangeStream"],
    [237, "CursorKilled"],
    [239, "SnapshotTooOld"],
    [246, "SnapshotUnavailable"],
    [249, "StaleDbVersion"],
    [250, "StaleChunkHistory"],
    [251, "NoSuchTransaction"],
    [262, "ExceededTimeLimit"],
    [267, "PreparedTransactionInProgress"],
    [272, "MigrationConflict"],
    [279, "ClientDisconnect"],
    [281, "TransactionCoordinatorSteppingDown"],
    [282, "TransactionCoordinatorReachedAbortDecision"],
    [290, "TransactionExceededLifetimeLimitSeconds"],
    [303, "SplitHorizonChange"],
    [317, "ConnectionPoolExpired"],
    [355, "InterruptedDueToStorageChange"],
    [365, "TemporarilyUnavailable"],
    [371, "UserWritesBlocked"],
    [402, "ResourceExhausted"],
    [407, "PooledConnectionAcquisitionExceededTimeLimit"],
    [433, "AdmissionQueueOverflow"],
    [449, "RateLimitExceeded"],
    [9001, "SocketException"],
    [10107, "NotWritablePrimary"],
    [11600, "InterruptedAtShutdown"],
    [11601, "Interrupted"],
    [11602, "InterruptedDueToReplStateChange"],
    [13388, "StaleConfig"],
    [13435, "NotPrimaryNoSecondaryOk"],
    [13436, "NotPrimaryOrSecondary"],
    [14031, "OutOfDiskSpace"],
  ],
  FERRY_MONGO_REJECTED: [
    [2, "BadValue"],
    [14, "TypeMismatch"],
    [15, "Overflow"],
    [22, "InvalidBSON"],
    [28, "PathNotViable"],
    [40, "ConflictingUpdateOperators"],
    [52, "DollarPrefixedFieldName"],
    [53, "InvalidIdField"],
    [66, "ImmutableField"],
    [116, "DocTooLargeForCapped"],
    [121, "DocumentValidationFailure"],
    [257, "TransactionTooLarge"],
    [10334, "BSONObjectTooLarge"],
    [11000, "DuplicateKey"],
    [17280, "KeyTooLong"],
    [17419, "an update that grows a document too large"],
  ],
  FERRY_MONGO_AUTH: [
    [18, "AuthenticationFailed"],
    [8000, "AtlasError"],
  ],
  FERRY_MONGO_PRIVILEGE: [[13, "Unauthorized"]],
  FERRY_MONGO_COMMAND: [
    [20, "IllegalOperation"],
    [26, "NamespaceNotFound"],
    [59, "CommandNotFound"],
    [73, "InvalidNamespace"],
    [166, "CommandNotSupportedOnView"],
    [263, "OperationNotSupportedInTransaction"],
  ],
};

for (const [code, all] of Object.entries(CODES))
  test(`${code}: ${all.length} codes of a refused command`, () => {
    for (const [server, name] of all) {
      const error = mongoError(new MongoServerError({ errmsg: name, code: server, codeName: name }), "writing");
      assert.equal(error.code, code, `${server} ${name}`);
      assert.equal(error.entry.retry, code === "FERRY_MONGO_TRANSIENT" ? "backoff" : "never", name);
    }
  });

/** A target whose every write answers that its first statement was refused with this code. */
const refusing = (code: number): MongoClient => {
  const db = {
    databaseName: "test",
    command: async () => ({ ok: 1, n: 0, writeErrors: [BSON.serialize({ index: 0, code, errmsg: "" })] }),
  };
  return { db: () => db } as unknown as MongoClient;
};

test("a transient code for one statement of a batch is no rejection of its document", async () => {
  const bytes = BSON.serialize({ _id: 1 });
  const batches: readonly (readonly TargetOp[])[] = [
    [{ op: "write", key: bytes, doc: bytes, fresh: true }],
    [{ op: "write", key: bytes, doc: bytes, fresh: false }],
    [{ op: "delete", key: bytes }],
  ];
  for (const told of ["FERRY_MONGO_TRANSIENT", "FERRY_MONGO_REJECTED"] as const)
    for (const [code, name] of CODES[told] ?? [])
      for (const ops of batches) {
        const sink = new MongoSink(refusing(code), { db: "test", coll: "c" });
        await assert.rejects(sink.write(ops, undefined), { code: told }, `${code} ${name}`);
      }
});
