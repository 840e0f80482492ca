/** How a partition is taken over, over ferry's database and over the records in memory that the simulation works with. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { MongoClient } from "mongodb";
import type { ClaimRecords } from "#apply/lanes/claimRecords.ts";
import { ClaimStore } from "#apply/lanes/claimStore.ts";
import { type Claim, Claims, type LaneState } from "#apply/lanes/claims.ts";
import type { LaneMove, LanePositions } from "#apply/lanes/laneCommit.ts";
import { LanePositionStore } from "#apply/lanes/lanePositions.ts";
import { partitionId } from "#apply/lanes/laneRecords.ts";
import { LaneStore } from "#apply/lanes/laneStore.ts";
import { inheritLanes, takeFromOwners } from "#apply/lanes/takeFromOwners.ts";
import { systemClock } from "#base/flow/clock.ts";
import { NO_COUNTS } from "#base/flow/types.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { MemoryClaimRecords } from "../harness/memory/claims.ts";
import { MemoryClient, MemoryDatabase } from "../harness/memory/database.ts";
import { FakeClock } from "../harness/memory/fakeClock.ts";
import { MemoryPositions } from "../harness/memory/state.ts";
import { sharedMongo } from "../harness/servers.ts";

const ROUTE = "test.claims";
const LEASE_MS = 500;

/** The time of a form's leases: its own, or that of a test. */
type Opened = AsyncDisposable &
  Readonly<{ records: ClaimRecords; positions: LanePositions; wait: (ms: number) => Promise<void> }>;

const FORMS: Readonly<Record<string, (slices: number) => Promise<Opened>>> = {
  mongodb: async (slices) => {
    const client = await new MongoClient((await sharedMongo()).uri).connect();
    const state = new StateDb(client, `ferry_${randomUUID().slice(0, 8)}`);
    await state.prepare();
    const lanes = new LaneStore({ state, workerId: "any", leaseMs: LEASE_MS });
    await lanes.register({ name: ROUTE, from: ROUTE }, "id", 1, slices);
    return {
      records: new ClaimStore(state),
      positions: new LanePositionStore(state),
      wait: (ms) => systemClock.sleep(ms),
      [Symbol.asyncDispose]: () => client.close(),
    };
  },
  memory: async (slices) => {
    const clock = new FakeClock();
    const client = new MemoryClient(new MemoryDatabase(() => clock.now()));
    const records = new MemoryClaimRecords(client);
    await records.register(ROUTE, ROUTE, slices);
    return {
      records,
      positions: new MemoryPositions(client),
      wait: (ms) => clock.pass(ms),
      [Symbol.asyncDispose]: async () => undefined,
    };
  },
};

const claimsOf = ({ records }: Opened, workerId: string): Claims =>
  new Claims({ records, workerId, leaseMs: LEASE_MS, transactional: true });

/** Claims the partition as soon as it is free. */
const claimed = async (opened: Opened, workerId: string, wanted: number): Promise<Claim> => {
  for (let waited = 0; waited < 20_000; waited += 50) {
    const claim = await claimsOf(opened, workerId).claim(ROUTE, 0, wanted, 0);
    if (claim !== undefined) return claim;
    await opened.wait(50);
  }
  return assert.fail("the lease does not run out");
};

const move = (offset: number): LaneMove => ({ offset, at: 1n, logTimeMs: 1, counts: NO_COUNTS, filteredBy: {} });

const moveTo = (positions: LanePositions, lane: LaneState | undefined, offset: number): Promise<boolean> => {
  assert.ok(lane !== undefined);
  return positions.move(lane, move(offset), undefined);
};

const placesOf = ({ lanes }: Claim): readonly (readonly [slice: number, offset: number])[] =>
  lanes.map(({ slice, offset }) => [slice, offset]);

/** Records whose fences wait for this. */
const beforeFence = (records: ClaimRecords, work: () => Promise<void>): ClaimRecords =>
  new Proxy(records, {
    get: (target, name) => {
      const method = Reflect.get(target, name).bind(target) as (...args: unknown[]) => Promise<unknown>;
      return name !== "fence" ? method : (...args: unknown[]) => work().then(() => method(...args));
    },
  });

for (const [form, open] of Object.entries(FORMS)) {
  test(`${form}: lanes are as many as are wanted, while all of them stand at one position`, async () => {
    await using opened = await open(4);
    const { positions } = opened;
    const claim = (workerId: string, wanted: number): Promise<Claim> => claimed(opened, workerId, wanted);
    const release = (workerId: string, claim: Claim): Promise<void> => claimsOf(opened, workerId).release(claim);
    const first = await claim("a", 2);
    assert.deepEqual(placesOf(first), [
      [0, 0],
      [1, 0],
    ]);
    for (const lane of first.lanes) await moveTo(positions, lane, 7);
    await release("a", first);
    const more = await claim("b", 3);
    assert.deepEqual(placesOf(more), [
      [0, 7],
      [1, 7],
      [2, 7],
    ]);
    assert.equal(more.epoch, first.epoch + 1);
    assert.ok(more.sessions.length >= 3);
    await moveTo(positions, more.lanes[1], 9);
    await release("b", more);
    const apart = await claim("a", 1);
    assert.deepEqual(
      placesOf(apart),
      [
        [0, 7],
        [1, 9],
        [2, 7],
      ],
      "they stand apart, so that their keys stay where they are",
    );
    for (const slice of [0, 2]) await moveTo(positions, apart.lanes[slice], 9);
    await release("a", apart);
    const one = await claim("b", 1);
    assert.deepEqual(placesOf(one), [[0, 9]]);
    await moveTo(positions, one.lanes[0], 20);
    await release("b", one);
    assert.deepEqual(
      placesOf(await claim("a", 2)),
      [
        [0, 20],
        [1, 20],
      ],
      "one that was left over comes along",
    );
  });

  test(`${form}: a former owner that is thought to be gone moves no lane any more`, async () => {
    await using opened = await open(2);
    const { positions } = opened;
    const former = await claimed(opened, "frozen", 2);
    await moveTo(positions, former.lanes[0], 5);
    const next = await claimed(opened, "next", 1);
    assert.deepEqual(placesOf(next), [
      [0, 5],
      [1, 0],
    ]);
    for (const lane of former.lanes) await assert.rejects(moveTo(positions, lane, 6), { code: "FERRY_FENCED" });
    assert.ok(await moveTo(positions, next.lanes[1], 5));
  });

  test(`${form}: a lease holds as long as it is renewed, by its owner alone`, async () => {
    await using opened = await open(1);
    const [owner, other] = [claimsOf(opened, "owner"), claimsOf(opened, "other")];
    assert.equal(await owner.claim("no.route", 0, 1, 0), undefined);
    const claim = await claimed(opened, "owner", 1);
    for (let renewed = 0; renewed < 4; renewed++) {
      await opened.wait(LEASE_MS / 2);
      await owner.renew([partitionId(ROUTE, 0)]);
    }
    assert.equal(await other.claim(ROUTE, 0, 1, 0), undefined, "longer than a lease, and renewed");
    await other.renew([partitionId(ROUTE, 0)]);
    await opened.wait(LEASE_MS + 1);
    const taken = await other.claim(ROUTE, 0, 1, 0);
    assert.equal(taken?.epoch, claim.epoch + 1);
    await owner.renew([partitionId(ROUTE, 0)]);
    await owner.release(claim);
    assert.equal(await owner.claim(ROUTE, 0, 1, 0), undefined, "a former owner gives nothing back");
  });

  test(`${form}: a takeover ends what its former owner has open, and an expelled owner writes no more`, async () => {
    await using opened = await open(1);
    const { records, positions } = opened;
    const former = await claimed(opened, "frozen", 1);
    const [session, lane] = [former.sessions[0], former.lanes[0]];
    assert.ok(session !== undefined && lane !== undefined);
    const [held, goesOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const orphan = session.transaction("a frozen owner's", async (tx) => {
      await positions.move(lane, move(3), tx);
      held.resolve();
      await goesOn.promise;
      return true;
    });
    await held.promise;
    const next = await claimed(opened, "next", 1);
    assert.deepEqual(placesOf(next), [[0, 0]], "not waited for");
    goesOn.resolve();
    await assert.rejects(orphan, { code: "FERRY_MONGO_TRANSIENT" });
    await takeFromOwners(records, ROUTE);
    await assert.rejects(moveTo(positions, next.lanes[0], 4), { code: "FERRY_FENCED" });
    assert.equal((await claimed(opened, "third", 1)).epoch, next.epoch + 2, "free at once, and one epoch more");
  });

  test(`${form}: what the capture's next owner has inherited is moved and claimed by no former one's lanes`, async () => {
    await using opened = await open(1);
    const { records, positions } = opened;
    const of = (captureEpoch: number): Claims =>
      new Claims({ records, workerId: `run ${captureEpoch}`, leaseMs: LEASE_MS, captureEpoch, transactional: true });
    const former = await of(1).claim(ROUTE, 0, 1, 0);
    await moveTo(positions, former?.lanes[0], 3);
    await inheritLanes(records, 2);
    await assert.rejects(moveTo(positions, former?.lanes[0], 4), { code: "FERRY_FENCED" });
    assert.equal(await of(1).claim(ROUTE, 0, 1, 0), undefined, "free, and not for a former owner of the capture");
    const next = await of(2).claim(ROUTE, 0, 1, 0);
    assert.deepEqual(next && placesOf(next), [[0, 3]]);
    if (next !== undefined) await of(2).release(next);
    // One that was begun behind the look stands where its successor cannot know.
    await assert.rejects(of(3).claim(ROUTE, 0, 1, 0), { code: "FERRY_FENCED" });
    await inheritLanes(records, 3);
    assert.notEqual(await of(3).claim(ROUTE, 0, 1, 0), undefined);
  });

  test(`${form}: lanes that were not there when the capture's next owner looked belong to no former owner`, async () => {
    await using opened = await open(1);
    const { records } = opened;
    const of = (captureEpoch: number, over = records): Claims =>
      new Claims({
        records: over,
        workerId: `run ${captureEpoch}`,
        leaseMs: LEASE_MS,
        captureEpoch,
        transactional: true,
      });
    const inherited = beforeFence(records, () => inheritLanes(records, 2));
    assert.equal(await of(1, inherited).claim(ROUTE, 0, 1, 0), undefined, "between its claim and its first lane");
    const next = await of(2).claim(ROUTE, 0, 1, 0);
    assert.deepEqual(next && placesOf(next), [[0, 0]]);
  });

  test(`${form}: a first owner that is taken over before it has its lanes begins with as many as its successor knows of`, async () => {
    await using opened = await open(2);
    const { records, positions } = opened;
    const { promise: goesOn, resolve: go } = Promise.withResolvers<void>();
    const options = { leaseMs: LEASE_MS, transactional: true };
    const slow = new Claims({ ...options, workerId: "slow", records: beforeFence(records, () => goesOn) });
    const first = slow.claim(ROUTE, 0, 2, 0);
    await opened.wait(LEASE_MS + 50);
    let former: Claim | undefined;
    const comesThrough = async (): Promise<void> => {
      if (former !== undefined) return;
      go();
      former = await first;
      assert.ok(former !== undefined);
      await moveTo(positions, former.lanes[0], 5);
    };
    const faster = new Claims({ ...options, workerId: "faster", records: beforeFence(records, comesThrough) });
    const next = await faster.claim(ROUTE, 0, 3, 0);
    assert.ok(next !== undefined);
    assert.deepEqual(
      placesOf(next),
      [
        [0, 5],
        [1, 0],
      ],
      "over three lanes the second one's events would be skipped by the first",
    );
  });

  test(`${form}: a transaction that a former owner begins when its sessions were ended holds no lane for long`, async () => {
    await using opened = await open(1);
    const { records, positions } = opened;
    const former = await claimed(opened, "frozen", 1);
    const [session, lane] = [former.sessions[0], former.lanes[0]];
    assert.ok(session !== undefined && lane !== undefined);
    const goesOn = Promise.withResolvers<void>();
    let orphan: Promise<void> | undefined;
    const comesThrough = async (): Promise<void> => {
      const held = Promise.withResolvers<void>();
      orphan ??= session.transaction("a frozen owner's", async (tx) => {
        await positions.move(lane, move(3), tx);
        held.resolve();
        await goesOn.promise;
        return true;
      });
      await held.promise;
    };
    const options = { workerId: "next", leaseMs: LEASE_MS, transactional: true };
    await opened.wait(LEASE_MS + 50);
    const next = new Claims({ ...options, records: beforeFence(records, comesThrough) });
    await assert.rejects(next.claim(ROUTE, 0, 1, 0), { code: "FERRY_MONGO_TRANSIENT" });
    assert.deepEqual(placesOf(await claimed(opened, "next", 1)), [[0, 0]], "by the next try");
    goesOn.resolve();
    await assert.rejects(orphan ?? Promise.resolve(), { code: "FERRY_MONGO_TRANSIENT" });
  });
}
