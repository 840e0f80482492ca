import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON } from "bson";
import fc from "fast-check";
import { identityOf } from "#base/bson/identity.ts";
import { Recheck, type RecheckDeps, type Versions, type Wrong } from "#proof/verify/recheck.ts";

const keyOf = (id: number): Uint8Array => BSON.serialize({ _id: id });
const documentOf = (id: number, v: number): Uint8Array => BSON.serialize({ _id: id, v });

/** A source whose changes reach the target some ticks later, and a target where faults can be planted. */
class World {
  time = 1n;
  readonly log: { at: bigint; id: number; v: number | undefined }[] = [];
  appliedTo = 0;
  readonly source = new Map<number, number>();
  readonly target = new Map<number, number>();
  /** Documents that were written on the target, in order. */
  readonly written: number[] = [];
  /** Documents that the pipeline does not touch any more: planted faults. */
  readonly broken = new Set<number>();

  write(id: number, v: number | undefined): void {
    this.time++;
    this.log.push({ at: this.time, id, v });
    if (v === undefined) this.source.delete(id);
    else this.source.set(id, v);
  }

  apply(count: number): void {
    for (let i = 0; i < count && this.appliedTo < this.log.length; i++) {
      const { id, v } = this.log[this.appliedTo++] as (typeof this.log)[number];
      if (this.broken.has(id)) continue;
      this.written.push(id);
      if (v === undefined) this.target.delete(id);
      else this.target.set(id, v);
    }
  }

  applied(): bigint {
    return this.appliedTo === this.log.length ? this.time : (this.log[this.appliedTo]?.at ?? 1n) - 1n;
  }

  read(side: "source" | "target", keys: readonly Uint8Array[]): Versions {
    const documents = new Map<string, Uint8Array>();
    for (const key of keys) {
      const id = BSON.deserialize(key)["_id"] as number;
      const v = this[side].get(id);
      if (v !== undefined) documents.set(identityOf(key), documentOf(id, v));
    }
    return { documents, at: this.time };
  }
}

const IDS = 2;
type Step = Readonly<{ id: number; kind: "write" | "delete" | "apply" | "look" }>;
const steps = fc.array(
  fc.record({ id: fc.nat(IDS - 1), kind: fc.constantFrom<Step["kind"]>("write", "delete", "apply", "look", "look") }),
  { maxLength: 120 },
);

/** Takes a schedule's steps one by one. Values come again: states alone prove nothing. */
const player = (world: World, schedule: readonly Step[], values: number) => {
  let [v, next] = [0, 0];
  return {
    get isOver(): boolean {
      return next >= schedule.length;
    },
    advance: (): void => {
      const step = schedule[next++];
      if (step?.kind === "write") world.write(step.id, ++v % values);
      else if (step?.kind === "delete") world.write(step.id, undefined);
      else if (step?.kind === "apply") world.apply(1);
    },
  };
};

/** Changes happen between any two reads of a look. */
const deps = (world: World, between: () => void): RecheckDeps => ({
  readSource: async (keys) => {
    between();
    return world.read("source", keys);
  },
  readTarget: async (keys) => {
    between();
    return world.read("target", keys);
  },
  applied: async () => world.applied(),
  changedSince: async (keys, at) => {
    const changed = new Set(world.log.filter((entry) => entry.at > at).map(({ id }) => identityOf(keyOf(id))));
    return new Set(keys.map(identityOf).filter((identity) => changed.has(identity)));
  },
  expect: undefined,
  onto: undefined,
  learn: async () => undefined,
  excused: async () => new Set(),
  graceMs: 0,
  now: () => 0,
});

test("never calls a document wrong that is only behind, and always the one that is wrong", async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.option(fc.nat(IDS - 1)), async (schedule, planted) => {
      const world = new World();
      if (planted !== null) world.broken.add(planted);
      const play = player(world, schedule, 2);
      const recheck = new Recheck(deps(world, play.advance));
      const wrong: Wrong[] = [];
      while (!play.isOver) {
        recheck.add([...Array(IDS).keys()].map((id) => ({ key: keyOf(id) })));
        wrong.push(...(await recheck.look(IDS)).wrong);
        play.advance();
      }
      const innocent = wrong.filter(({ key }) => BSON.deserialize(key)["_id"] !== planted);
      assert.deepEqual(innocent, []);
      world.apply(Number.POSITIVE_INFINITY);
      recheck.add([...Array(IDS).keys()].map((id) => ({ key: keyOf(id) })));
      const found: Wrong[] = [];
      for (let i = 0; i < 4; i++) found.push(...(await recheck.look(IDS)).wrong);
      const expected = planted !== null && world.source.has(planted) ? [planted] : [];
      assert.deepEqual(
        found.map(({ key }) => BSON.deserialize(key)["_id"]),
        expected,
      );
      assert.equal(recheck.size, 0);
    }),
    { numRuns: 2000 },
  );
});

/** Documents whose last change is not younger, and that are not known to be wrong, are on the target. */
const requireClaims = (world: World, upTo: bigint, wrong: ReadonlySet<string>): void => {
  for (let id = 0; id < IDS; id++) {
    const last = world.log.findLast((entry) => entry.id === id);
    if (last === undefined || last.at > upTo || wrong.has(identityOf(keyOf(id)))) continue;
    assert.equal(world.target.get(id), last.v, `document ${id} is verified up to ${upTo}`);
  }
};

test("behind a moment since which nothing waits, everything that the source had by then is on the target, or is wrong", async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.option(fc.nat(IDS - 1)), async (schedule, planted) => {
      const world = new World();
      if (planted !== null) world.broken.add(planted);
      const play = player(world, schedule, 3);
      let [noted, notedThere] = [0, 0];
      const recheck = new Recheck(deps(world, play.advance));
      const wrong = new Set<string>();
      let moment = { source: 0n, target: 0n };
      while (!play.isOver) {
        const applied = world.applied();
        for (const { id, at } of world.log.slice(noted)) recheck.add([{ key: keyOf(id) }], { due: at, moment });
        for (const id of world.written.slice(notedThere))
          recheck.add([{ key: keyOf(id) }], { due: world.time, moment });
        [noted, notedThere] = [world.log.length, world.written.length];
        moment = { source: applied, target: applied };
        const { wrong: found } = await recheck.look(IDS);
        for (const { identity } of found) wrong.add(identity);
        requireClaims(world, recheck.oldest?.source ?? moment.source, wrong);
        play.advance();
      }
    }),
    { numRuns: 2000 },
  );
});
