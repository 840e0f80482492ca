import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON, type Document, Int32, Timestamp } from "bson";
import fc from "fast-check";
import { type DdlContext, DdlPolicy } from "#apply/barrier/ddlPolicy.ts";
import { type BeginningContext, beginRoute } from "#apply/conflict/beginning.ts";
import { type Claim, Claims } from "#apply/lanes/claims.ts";
import { outsideCommit, transactionalCommit } from "#apply/lanes/laneCommit.ts";
import type { Beginning } from "#apply/lanes/laneRecords.ts";
import { ConflictGate, type ConflictGateDeps } from "#apply/pipeline/conflictGate.ts";
import { LaneWriter } from "#apply/pipeline/laneWriter.ts";
import { Lookup } from "#apply/pipeline/lookup.ts";
import { settleInserts } from "#apply/pipeline/settleInserts.ts";
import type { Entry } from "#apply/plan/entry.ts";
import { identityOf } from "#base/bson/identity.ts";
import type { Route } from "#base/config/routes.ts";
import type { WorkerOptions } from "#base/config/workerOptions.ts";
import { isFerry } from "#base/errors/ferryError.ts";
import { systemClock } from "#base/flow/clock.ts";
import { CopiedRecord } from "#io/wire/captured.ts";
import { CopyRun } from "#io/wire/copyRun.ts";
import { createDecoder } from "#io/wire/decode.ts";
import { leftoversOn } from "#process/capture/leftovers.ts";
import { type AskedOfTargets, misfitsOf } from "#sink/open/demands.ts";
import type { Abilities } from "#sink/sink.ts";
import { anyAbilities, anyAsked, anyRoute, neededBy, policyUnder } from "../../../harness/demands.ts";
import { MemoryClaimRecords } from "../../../harness/memory/claims.ts";
import { MemoryClient, MemoryDatabase, timeOf } from "../../../harness/memory/database.ts";
import { MemorySink } from "../../../harness/memory/memorySink.ts";
import { MemoryLetters, MemoryPositions } from "../../../harness/memory/state.ts";

const logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const hard = new AbortController().signal;
const clock = systemClock;
const NS = { db: "test", coll: "users" };

const documentOf = (id: number, fields: Document): Uint8Array => BSON.serialize({ _id: new Int32(id), ...fields });

type Case = Readonly<{
  route: Route;
  asked: Required<AskedOfTargets>;
  client: MemoryClient;
  sink: MemorySink;
  claim: Claim;
}>;

const opened = async (route: Route, asked: Required<AskedOfTargets>, can: Abilities): Promise<Case> => {
  const client = new MemoryClient(new MemoryDatabase());
  const sink = new MemorySink(client, { name: route.name, can, validator: ({ bad }) => bad !== true });
  const records = new MemoryClaimRecords(client);
  await records.register(route.name, route.from, 1);
  const claim = await new Claims({ records, workerId: "worker", leaseMs: 3000, transactional: true }).claim(
    route.name,
    0,
    1,
    0,
  );
  assert.ok(claim !== undefined);
  return { route, asked, client, sink, claim };
};

const optionsOf = ({ asked }: Case) => ({ conflict: asked.conflict, deltas: asked.deltas }) as WorkerOptions;

/** The first start of a route; under a policy, with documents that are there already. */
const begin = async (at: Case): Promise<void> => {
  const { route, claim, sink } = at;
  if (policyUnder(route, at.asked) !== "mirror")
    await sink.write(
      [{ op: "write", key: documentOf(3, {}), doc: documentOf(3, { own: 1 }), fresh: false }],
      undefined,
    );
  let record: Readonly<{ begun?: Beginning }> = {};
  const runs = {
    run: async () => record,
    begin: async (_: string, begun: Beginning) => {
      record = { begun };
      return begun;
    },
    seeded: async () => {
      if (record.begun !== undefined) record = { begun: { ...record.begun, seeding: false } };
    },
    noteRules: async () => undefined,
  };
  const marks = { seed: async () => undefined };
  const context = { claim, route, options: optionsOf(at), runs, marks, accepted: new Set(), logger, clock, hard };
  await beginRoute(context as unknown as BeginningContext, sink);
};

/** Every document is looked at as one that others may have written. */
const gateOf = ({ route, asked, sink, client }: Case): ConflictGate | undefined => {
  const policy = policyUnder(route, asked);
  if (policy === "mirror") return undefined;
  const nothing = { read: async () => new Map(), settle: async () => undefined, add: async () => undefined };
  return new ConflictGate({
    ...{ where: { route: route.name, partition: 0 }, sink, policy, seed: undefined, unsure: true },
    isSource: () => true,
    watch: { mark: () => 0, upTo: async () => timeOf(client.db.version), mayHaveTouched: () => true },
    marks: nothing,
    store: nothing,
  } as unknown as ConflictGateDeps);
};

/** A change event, as the connector writes it. */
const changed = (operationType: string, id: number, more: Document = {}): Uint8Array =>
  BSON.serialize({
    ...{ _id: { _data: "64" }, operationType, clusterTime: new Timestamp({ t: 100, i: 1 }), ns: NS },
    ...{ documentKey: { _id: new Int32(id) }, ...more },
  });

const put = (id: number, fields: Document): Uint8Array =>
  changed("insert", id, { fullDocument: { _id: new Int32(id), ...fields } });

const set = (id: number, updatedFields: Document): Uint8Array =>
  changed("update", id, { updateDescription: { updatedFields, removedFields: [], truncatedArrays: [] } });

/** Of each kind that a lane treats in its own way: also deltas that cannot be said as changes, refused documents, no event. */
const entries = (): readonly Entry[] => {
  const values = [
    put(1, { a: 1 }),
    set(1, { a: 2 }),
    set(1, { $b: 3 }),
    set(0, { b: 4 }),
    put(3, { a: 5 }),
    set(3, { a: 6 }),
    put(4, { bad: true }),
    changed("delete", 0),
    Buffer.from("no event"),
  ];
  const copied = new CopiedRecord(new CopyRun(NS, 1n << 32n), documentOf(0, {}), 0);
  const streamed = values.map((value) => ({ key: null, value, offset: 0, timestampMs: 0 }));
  const decode = createDecoder();
  return [copied, ...streamed].map((record, offset): Entry => {
    const placed = Object.assign(record, { offset });
    const { event, poison } = decode(placed);
    return {
      record: placed,
      event,
      dead: poison === undefined ? undefined : { code: "FERRY_APPLY_POISON", detail: "" },
    };
  });
};

/** What the source has in the end, wherever it is asked. */
const AFTERWARDS = new Map([
  [identityOf(documentOf(1, {})), documentOf(1, { a: 2, $b: 3 })],
  [identityOf(documentOf(3, {})), documentOf(3, { a: 6 })],
]);

const read = async (keys: readonly Uint8Array[]): Promise<readonly Uint8Array[]> =>
  keys.flatMap((key) => AFTERWARDS.get(identityOf(key)) ?? []);

/** As `partitionWiring.ts` puts a lane together. */
const writerOf = async (at: Case): Promise<LaneWriter> => {
  const { claim, client, sink, asked } = at;
  const [lane] = claim.lanes;
  const [session] = claim.sessions;
  assert.ok(lane !== undefined && session !== undefined);
  const positions = new MemoryPositions(client);
  const isContended = (error: unknown): boolean => sink.refusal(error)?.kind === "contended";
  const deps = { positions, isContended, clock, signal: hard, onRetry: () => undefined };
  const rescue = asked.source ? new Lookup({ read }, { what: "looking up", clock, signal: hard }) : undefined;
  return new LaneWriter(
    {
      ...{ ns: NS, sink, clock, drift: undefined, shape: undefined, conflicts: gateOf(at), onError: "dead-letter" },
      commit: sink.can.transactions ? transactionalCommit(deps, session) : outsideCommit(deps, session),
      lookup: asked.deltas === "look-up" ? rescue : undefined,
      rescue,
      deadLetters: new MemoryLetters(client, clock),
      collation: { identities: async () => identityOf, isSources: async () => false },
      makeWay: async () => undefined,
      settleInserts: (ops) => settleInserts(sink, ops),
      ...{ onDead: () => undefined, onSettled: () => undefined, onCopyCollision: async () => undefined },
    },
    lane,
    new Map(),
  );
};

/** Everything twice: what is there collides, and is replaced. */
const write = async (at: Case): Promise<void> => {
  const writer = await writerOf(at);
  const batch = entries();
  const moved = batch.map((entry, i) => ({ ...entry, record: { ...entry.record, offset: batch.length + i } }));
  await writer.write(batch, batch.length);
  await writer.write(moved as readonly Entry[], 2 * batch.length);
};

/** True where the drop was applied, false where it halts the route. */
const dropped = async ({ route, asked, sink, claim }: Case): Promise<boolean> => {
  const context = {
    ...{ policy: policyUnder(route, asked), ddl: asked.ddl, accepted: new Set(), partitionCount: 1, claim, logger },
    drops: { begin: async () => sink.uuid(), fence: async () => undefined, finish: async () => undefined },
    follower: {
      ...{ isHollow: async () => false, isApproved: async () => false, note: async () => undefined },
      prepare: () => sink.prepare(),
    },
  } as unknown as DdlContext;
  const event = { op: "ddl", kind: "drop", at: 5n, origin: "stream", ns: NS, command: BSON.serialize({}) } as const;
  const record = { key: null, value: null, offset: 7, timestampMs: 0 };
  try {
    await new DdlPolicy(context, sink).on(event, record);
    return true;
  } catch (error) {
    if (isFerry(error, "FERRY_APPLY_DDL")) return false;
    throw error;
  }
};

const recopied = async ({ route, asked, sink }: Case): Promise<void> => {
  const deps = { sinkOf: () => sink, routes: [route], options: { conflict: asked.conflict }, logger };
  const leftovers = leftoversOn({ ...deps, source: undefined as never });
  for await (const keys of leftovers(NS, 5n)) assert.deepEqual(keys, []);
};

/** Whatever the engine asks for, the sink fails with FERRY_BUG where it cannot do it. */
const engine = async (route: Route, asked: Required<AskedOfTargets>, can: Abilities): Promise<void> => {
  const at = await opened(route, asked, can);
  await at.sink.prepare();
  await recopied(at);
  await begin(at);
  await write(at);
  const [one] = await at.sink.read([BSON.serialize({ _id: new Int32(3) })]);
  assert.ok(one !== undefined, "what was written is there");
  const isApplied = await dropped(at);
  const isLeft = policyUnder(route, asked) === "mirror" && asked.ddl.drop !== "hold";
  assert.equal(isApplied, isLeft && can.incarnations, "a drop is applied where it may be and the target can");
  if (asked.ddl.drop === "apply" && isLeft) assert.ok(isApplied, "what was asked for and accepted is done");
};

test("a configuration that a target fits never asks it, at work, for what it cannot do", async () => {
  let fitting = 0;
  await fc.assert(
    fc.asyncProperty(anyRoute, anyAsked, anyAbilities, async (route, asked, can) => {
      // Half of the cases would be refused: these are given what they need, and nothing more.
      const needed = Object.fromEntries(neededBy(route, asked).map((ability) => [ability, true]));
      const enough = { ...can, ...needed };
      assert.deepEqual(
        misfitsOf([route], asked, () => enough),
        [],
      );
      fitting++;
      await engine(route, asked, enough);
    }),
    { numRuns: 300, seed: 20261130 },
  );
  assert.equal(fitting, 300);
});

test("what is refused early would have failed at work", async () => {
  const asked = { conflict: "refuse", deltas: "look-up", accept: "", source: true, ddl: {} } as const;
  const flags = { ...asked, recopy: false, replaceTarget: false };
  const all = {
    transactions: true,
    structure: true,
    foreignWrites: true,
    incarnations: true,
    keys: true,
    patches: true,
    verbatim: true,
  };
  const route = (conflict: "mirror" | "merge"): Route => ({
    ...{ name: "test.users", from: "test.users", to: { mongodb: "test.users" }, conflict },
    drift: { newField: "pass", typeChange: "pass", depth: 8 },
  });
  for (const [conflict, more, lacks] of [
    ["merge", {}, "foreignWrites"],
    ["merge", {}, "keys"],
    ["mirror", { deltas: "apply" }, "patches"],
    ["mirror", { source: false }, "patches"],
  ] as const) {
    const wanted = { ...flags, ...more };
    const can = { ...all, [lacks]: false };
    assert.equal(misfitsOf([route(conflict)], wanted, () => can).length, 1);
    await assert.rejects(engine(route(conflict), wanted, can), { code: "FERRY_BUG", detail: new RegExp(lacks) });
  }
});
