import assert from "node:assert/strict";
import { test } from "node:test";
import type { FerryError } from "#base/errors/ferryError.ts";
import { connectMongo } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { readAll } from "#io/mongo/rawCursor.ts";
import { sharedMongo } from "../harness/servers.ts";

const NOT_WRITABLE_PRIMARY = 10107;
const PRIMARY_STEPPED_DOWN = 189;

test("a member that is no longer primary says so to raw commands, and the driver continues with it", async () => {
  const { uri } = await sharedMongo();
  await using client = await connectMongo(uri, { appName: "test" });
  await client
    .db("contract")
    .collection("topology")
    .insertOne({ _id: 1 as never });
  const read = () =>
    readAll({ client, db: "contract", command: { find: "topology", batchSize: 10 }, phase: "reading" }, 10);
  const problems: unknown[] = [];
  // Twice: the second time its version is compared with the one of the first.
  for (let n = 0; n < 2; n++) {
    const data = { failCommands: ["find"], errorCode: NOT_WRITABLE_PRIMARY };
    await client.db("admin").command({ configureFailPoint: "failCommand", mode: { times: 1 }, data });
    await read().catch((error: unknown) => problems.push(error));
    assert.equal((await read()).length, 1);
  }
  assert.deepEqual(
    problems.map((problem) => (problem as { code: string }).code),
    ["FERRY_MONGO_TRANSIENT", "FERRY_MONGO_TRANSIENT"],
  );
  const [{ cause }] = problems as [{ cause: { topologyVersion: { processId: unknown } } }];
  assert.equal(typeof cause.topologyVersion.processId, "object", "decoded, as the driver compares it");
});

test("a write concern error of a raw command is transient, as of another command", async () => {
  const { uri } = await sharedMongo();
  await using client = await connectMongo(uri, { appName: "test" });
  const indexes = { createIndexes: "concern", indexes: [{ key: { a: 1 }, name: "a" }] };
  for (const raw of [false, true]) {
    const data = { failCommands: ["createIndexes"], writeConcernError: { code: PRIMARY_STEPPED_DOWN, errmsg: "gone" } };
    await client.db("admin").command({ configureFailPoint: "failCommand", mode: { times: 1 }, data });
    await assert.rejects(
      translated("building", () => client.db("contract").command(indexes, { raw })),
      ({ code, facts, detail }: FerryError) => {
        assert.deepEqual(
          [code, facts["serverCode"], detail],
          ["FERRY_MONGO_TRANSIENT", PRIMARY_STEPPED_DOWN, `building: gone (${PRIMARY_STEPPED_DOWN})`],
        );
        return true;
      },
    );
  }
});
