import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON } from "bson";
import { DriftGate } from "#apply/pipeline/driftGate.ts";
import type { Entry } from "#apply/plan/entry.ts";
import { NO_VITALS } from "#base/observe/vitals.ts";
import { MemoryClient, MemoryDatabase } from "../../../harness/memory/database.ts";
import { MemoryDrift } from "../../../harness/memory/drift.ts";

const ROUTE = "test.users";

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

const entryOf = (offset: number, doc: object): Entry =>
  ({
    record: { key: null, value: null, offset, timestampMs: 0 },
    event: { op: "write", origin: "stream", at: BigInt(offset + 1), doc: BSON.serialize(doc) },
    dead: undefined,
  }) as unknown as Entry;

/** Fields of the ledger's baseline. */
const baselineOf = async (ledger: MemoryDrift): Promise<readonly string[]> =>
  (await ledger.read(ROUTE)).filter(({ baseline }) => baseline).map(({ path }) => path);

test("the first document is the baseline, also where two lanes ask for it together and the other one commits first", async () => {
  const ledger = new MemoryDrift(new MemoryClient(new MemoryDatabase()));
  const gate = await DriftGate.open({
    where: { route: ROUTE, partition: 0 },
    policy: { newField: "hold", typeChange: "hold", depth: 8 },
    ledger,
    targetPath: (path) => path,
    hasCopy: async () => false,
    deltas: true,
    logger: silent,
    vitals: NO_VITALS,
  });
  const [first, second] = [entryOf(0, { _id: 0, a: 1 }), entryOf(1, { _id: 1, b: 1 })];
  for (const entry of [first, second]) gate.see(entry);
  const [[one], [other]] = await Promise.all([gate.judge([first], [first]), gate.judge([second], [second])]);
  assert.equal(one?.dead, undefined);
  assert.equal(other?.dead?.code, "FERRY_DRIFT_HELD");
  await gate.noting([second], 0, (note) => note(undefined));
  assert.deepEqual(await baselineOf(ledger), ["_id", "a"]);
});
