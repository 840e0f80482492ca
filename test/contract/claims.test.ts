/** How a partition is taken over: `Claims` on a server, and the ones in memory that the simulation works with. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { MongoClient } from "mongodb";
import { type Claim, Claims, type LaneState } from "#apply/lanes/claims.ts";
import type { LanePositions } from "#apply/lanes/laneCommit.ts";
import { LanePositionStore } from "#apply/lanes/lanePositions.ts";
import { LaneStore } from "#apply/lanes/laneStore.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { NO_COUNTS } from "#base/flow/types.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { MemoryClient, MemoryDatabase } from "../harness/memory/database.ts";
import { MemoryClaims, MemoryPositions } from "../harness/memory/state.ts";
import { sharedMongo } from "../harness/servers.ts";

const ROUTE = "test.claims";

type Opened = AsyncDisposable &
  Readonly<{
    /** A worker takes the partition, whose former lease has run out, and wants so many lanes. */
    claim: (workerId: string, wanted: number) => Promise<Claim>;
    release: (workerId: string, claim: Claim) => Promise<void>;
    positions: LanePositions;
  }>;

const FORMS: Readonly<Record<string, (registered: number) => Promise<Opened>>> = {
  mongodb: async (registered) => {
    const client = await new MongoClient((await sharedMongo()).uri).connect();
    const state = new StateDb(client, `ferry_${randomUUID().slice(0, 8)}`);
    await state.prepare();
    const optionsOf = (workerId: string) => ({ state, workerId, leaseMs: 1, transactional: true });
    await new LaneStore(optionsOf("any")).register({ name: ROUTE, from: ROUTE }, "id", 1, registered);
    return {
      claim: (workerId, wanted) =>
        waitFor(
          async () => {
            const done = await new Claims(optionsOf(workerId)).claim(ROUTE, 0, wanted, 0);
            return done === undefined ? { seen: "leased" } : { done };
          },
          { what: "the lease to run out", clock: systemClock, timeoutMs: 10_000, everyMs: 5 },
        ),
      release: (workerId, claim) => new Claims(optionsOf(workerId)).release(claim),
      positions: new LanePositionStore(state),
      [Symbol.asyncDispose]: () => client.close(),
    };
  },
  memory: async () => {
    const client = new MemoryClient(new MemoryDatabase());
    const claimsOf = (workerId: string) => new MemoryClaims(client, workerId, true);
    return {
      claim: async (workerId, wanted) => {
        const claim = await claimsOf(workerId).claim(ROUTE, ROUTE, wanted, true);
        return claim ?? assert.fail("another was faster");
      },
      release: (workerId, claim) => claimsOf(workerId).release(claim),
      positions: new MemoryPositions(client),
      [Symbol.asyncDispose]: async () => undefined,
    };
  },
};

const moveTo = (positions: LanePositions, lane: LaneState | undefined, offset: number): Promise<boolean> => {
  assert.ok(lane !== undefined);
  return positions.move(lane, { offset, at: 1n, logTimeMs: 1, counts: NO_COUNTS, filteredBy: {} }, undefined);
};

const placesOf = ({ lanes }: Claim): readonly (readonly [slice: number, offset: number])[] =>
  lanes.map(({ slice, offset }) => [slice, offset]);

for (const [form, open] of Object.entries(FORMS)) {
  test(`${form}: lanes are as many as are wanted, while all of them stand at one position`, async () => {
    await using opened = await open(4);
    const { claim, release, positions } = opened;
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
    const { claim, positions } = opened;
    const former = await claim("frozen", 2);
    await moveTo(positions, former.lanes[0], 5);
    const next = await claim("next", 1);
    assert.deepEqual(placesOf(next), [
      [0, 5],
      [1, 0],
    ]);
    for (const lane of former.lanes) await assert.rejects(moveTo(positions, lane, 6), { code: "FERRY_FENCED" });
    assert.ok(await moveTo(positions, next.lanes[1], 5));
  });
}
