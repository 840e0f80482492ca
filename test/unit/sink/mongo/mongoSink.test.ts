import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON, type MongoClient } from "mongodb";
import type { TargetOp } from "#base/flow/types.ts";
import { MongoSink } from "#sink/mongo/mongoSink.ts";
import { CODES } from "../../io/mongo/refusedCodes.ts";

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
