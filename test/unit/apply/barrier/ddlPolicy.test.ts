import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON } from "bson";
import { type DdlContext, DdlPolicy } from "#apply/barrier/ddlPolicy.ts";
import type { DdlEvent, LogRecord } from "#base/flow/types.ts";
import type { Sink } from "#sink/sink.ts";

type Given = Readonly<{
  policy?: DdlContext["policy"];
  drop?: DdlContext["ddl"]["drop"];
  accepted?: readonly string[];
  approved?: readonly string[];
  /** Can the sink drop what it has now and nothing that comes later? */
  incarnations?: boolean;
}>;

/** A policy whose surroundings note in one list what is done. */
const policyOf = ({ policy = "mirror", drop = "apply", accepted = [], approved = [], incarnations = true }: Given) => {
  const done: string[] = [];
  const does =
    <T>(what: string, result?: T) =>
    async (): Promise<T> => {
      done.push(what);
      return result as T;
    };
  const context = {
    ...{ policy, ddl: { drop }, accepted: new Set(accepted), partitionCount: 2 },
    claim: { route: "r", topic: "a.b", partition: 0, dropAt: 0n, droppingAt: 0n },
    drops: { begin: does("begin", "doomed"), fence: does("fence"), finish: does("finish") },
    log: { offsetAt: async () => 0 },
    logger: { info: () => undefined, warn: () => undefined },
    follower: {
      follow: does("follow", ["builds index x"]),
      prepare: does("prepare"),
      isHollow: async () => false,
      isApproved: async (id: string) => approved.includes(id),
      note: async (_event: unknown, _body: unknown, { outcome }: { outcome: string }) => done.push(outcome),
    },
  } as unknown as DdlContext;
  const sink = {
    ...{ name: "fake", can: { incarnations } },
    incarnations: { uuid: async () => "doomed", drop: async (uuid: string) => done.push(`drop ${uuid}`) },
  } as unknown as Sink;
  return { ddl: new DdlPolicy(context, sink), done };
};

const event = (kind: DdlEvent["kind"], at = 5n): DdlEvent => ({
  ...{ op: "ddl", kind, at, origin: "stream", ns: { db: "a", coll: "b" }, command: BSON.serialize({}) },
});
const RECORD: LogRecord & { offset: number } = { key: null, value: null, offset: 7, timestampMs: 0 };

test("a drop is applied between its fence and its note, and from then on older events are known by its time", async () => {
  const { ddl, done } = policyOf({});
  await ddl.on(event("drop"), RECORD);
  assert.deepEqual(done, ["begin", "fence", "drop doomed", "prepare", "finish", "applied"]);
  assert.equal(ddl.dropAt(), 5n);
});

test("a drop is refused before anything is touched where it would take more than the source's documents", async () => {
  for (const [given, why, noted] of [
    [{ policy: "merge" }, /under merge the target's own documents would go with it/, []],
    [{ policy: "keep-target" }, /under keep-target the target's own/, []],
    [{ incarnations: false }, /fake cannot drop what it has now and nothing that comes later/, []],
    [{ drop: "hold" }, /is held; `ferry structure approve r\/0\/7` lets it happen/, ["held"]],
  ] as const) {
    const { ddl, done } = policyOf(given);
    await assert.rejects(ddl.on(event("drop"), RECORD), { code: "FERRY_APPLY_DDL", detail: why });
    assert.deepEqual(done, noted);
    assert.equal(ddl.dropAt(), 0n);
  }
});

test("a held drop happens once it is approved, and one that the operator accepts is counted, not applied", async () => {
  const approved = policyOf({ drop: "hold", approved: ["r/0/7"] });
  await approved.ddl.on(event("drop"), RECORD);
  assert.equal(approved.done.at(-1), "applied");
  const accepted = policyOf({ accepted: ["FERRY_APPLY_DDL"] });
  for (const kind of ["drop", "rename", "invalidate"] as const) await accepted.ddl.on(event(kind), RECORD);
  assert.deepEqual(accepted.done, ["counted", "counted", "counted"]);
  assert.equal(accepted.ddl.dropAt(), 0n);
});

test("an invalidate is never applied, changes of structure are followed, and sharding is counted", async () => {
  const { ddl, done } = policyOf({});
  await assert.rejects(ddl.on(event("invalidate"), RECORD), { code: "FERRY_APPLY_DDL" });
  assert.deepEqual(done, []);
  for (const kind of ["create", "createIndexes", "dropIndexes", "modify"] as const) await ddl.on(event(kind), RECORD);
  assert.deepEqual(done.splice(0), Array.from({ length: 4 }, () => ["follow", "applied"]).flat());
  await ddl.on(event("shardCollection"), RECORD);
  assert.deepEqual(done, ["counted"]);
});
