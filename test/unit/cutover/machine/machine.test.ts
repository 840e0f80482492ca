import assert from "node:assert/strict";
import { test } from "node:test";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { type CutoverStep, isEnd, STATES, TABLE } from "#cutover/machine/cutoverTable.ts";
import { Machine } from "#cutover/machine/machine.ts";
import type { CutoverRecord, State } from "#cutover/machine/record.ts";
import { watch } from "#cutover/machine/watch.ts";
import { LEASE_MS, Life, newRecord, type Plan, partsOf, World, WorldMemory } from "./world.ts";

const step = (state: State): CutoverStep => TABLE[state];

/** Every state that can be reached from one by these edges. */
const reach = (from: State, edges: (state: State) => readonly State[]): ReadonlySet<State> => {
  const found = new Set<State>([from]);
  for (const state of found) for (const next of edges(state)) found.add(next);
  return found;
};

test("every state has a way on to an end, and every state before the release a way back to the source", () => {
  const ends = STATES.filter(isEnd);
  assert.deepEqual(ends, ["over", "aborted"]);
  for (const state of STATES) {
    const on = reach(state, (one) => [step(one).to]);
    assert.ok(on.has("over") || on.has("aborted"), `${state} has no way on`);
  }
  const beforeRelease = STATES.filter((state) => !["ending", "over"].includes(state));
  for (const state of beforeRelease)
    assert.ok(
      reach(state, (one) => [step(one).back, ...(one === "lifting" ? [step(one).to] : [])]).has("aborted"),
      state,
    );
  const reached = reach("checking", (one) => [step(one).to, step(one).back]);
  assert.deepEqual([...reached].sort(), [...STATES].sort(), "nothing in the table is unreachable");
  // Going back out of a pause lifts the fence.
  for (const state of STATES) if (step(state).paused) assert.equal(step(state).back, "lifting", state);
});

const MAX_PAUSE = 3000;

const machineOf = (world: World, life: Life, signal = new AbortController().signal, watchman = () => undefined) => ({
  memory: new WorldMemory(world, life, `process ${life.calls}`),
  parts: partsOf(world, life, watchman),
  clock: world.clock,
  signal,
  leaseMs: LEASE_MS,
  command: "ferry cutover",
  report: () => undefined,
  onRetry: () => undefined,
});

const runOnce = async (
  plan: Plan,
  signal?: AbortSignal,
): Promise<Readonly<{ world: World; record: CutoverRecord }>> => {
  const world = new World(plan);
  world.record = newRecord(MAX_PAUSE);
  const machine = new Machine(machineOf(world, new Life(), signal), { pausedMs: 0 });
  const record = await world.clock.until(machine.run(world.record));
  assert.deepEqual(world.faults, []);
  assert.ok(world.longestMs <= MAX_PAUSE, `${world.longestMs} ms`);
  return { world, record };
};

test("a cutover ends with the target as the only side to write to", async () => {
  const { world, record } = await runOnce({});
  assert.equal(record.state, "over");
  assert.deepEqual([world.address, world.fenced, world.deferred], ["target", true, false]);
  assert.deepEqual(world.done, ["hurry", "approach", "raise", "drain", "restore", "release", "end"]);
});

for (const [name, plan, code] of [
  ["a drain beyond the limit", { drain: { ms: 10_000 } }, "FERRY_CUTOVER_PAUSE"],
  ["a proof beyond the limit", { prove: { ms: 10_000 } }, "FERRY_CUTOVER_PAUSE"],
  [
    "a source that is written to",
    { prove: { refuses: new FerryError("FERRY_SOURCE_WRITES", "") } },
    "FERRY_SOURCE_WRITES",
  ],
  ["a hook that fails", { release: { refuses: new FerryError("FERRY_CUTOVER_HOOK", "") } }, "FERRY_CUTOVER_HOOK"],
  [
    "a fence that is refused",
    { raise: { refuses: new FerryError("FERRY_MONGO_PRIVILEGE", "") } },
    "FERRY_MONGO_PRIVILEGE",
  ],
] as const)
  test(`${name} leaves everything as it was, and says why`, async () => {
    const { world, record } = await runOnce(plan);
    assert.deepEqual([record.state, record.refused?.code], ["aborted", code]);
    assert.deepEqual([world.address, world.fenced, world.deferred, world.hurried], ["source", false, true, false]);
  });

test("the operator's stop before the release goes back", async () => {
  const stop = new AbortController();
  stop.abort(new FerryError("FERRY_STOPPED", "by SIGINT"));
  const { world, record } = await runOnce({}, stop.signal);
  assert.deepEqual([record.state, record.refused?.code], ["aborted", "FERRY_STOPPED"]);
  assert.equal(world.address, "source");
});

test("a watchman looks again where the cutover has gone on, and says so where the record may not be written", async () => {
  for (const [code, ends] of [
    ["FERRY_CUTOVER_TAKEN", "aborted"],
    ["FERRY_MONGO_PRIVILEGE", "fencing"],
  ] as const) {
    const world = new World({});
    world.record = { ...newRecord(MAX_PAUSE), state: "fencing", entered: { fencing: new Date(world.clock.now()) } };
    const deps = machineOf(world, new Life());
    const take = deps.memory.take.bind(deps.memory);
    let refusals = 1;
    deps.memory.take = async (seen, by) => {
      if (refusals-- > 0) throw new FerryError(code, "");
      return take(seen, by);
    };
    const watching = world.clock.until(watch({ ...deps, id: 1 }));
    if (code === "FERRY_CUTOVER_TAKEN") await watching;
    else await assert.rejects(watching, { code });
    assert.equal(world.record.state, ends);
  }
});

/** A reproducible sequence of numbers from 0 to 1. */
const randomOf = (seed: number) => () => {
  seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff;
  return seed / 0x7fffffff;
};

/** One cutover whose driver is killed at its n-th deed, with a second process that watches. */
const killed = async (seed: number): Promise<string> => {
  const random = randomOf(seed);
  const ms = () => ({ ms: Math.floor(random() ** 4 * 2500) });
  const slow = ["raise", "drain", "prove", "restore", "release", "lift", "deferAgain"];
  const plan: Plan = Object.fromEntries(slow.map((name) => [name, random() < 0.3 ? ms() : {}]));
  const world = new World({ ...plan, lift: { ms: Math.floor(random() * 50) } });
  world.record = newRecord(MAX_PAUSE);
  const driver = new Life(1 + Math.floor(random() * 40), random() < 0.5);
  const stop = new AbortController();
  let watching: Promise<void> = Promise.resolve();
  const watchman = (): undefined => {
    watching = watch({ ...machineOf(world, new Life()), id: 1 });
    watching.catch(() => undefined);
  };
  const driving = new Machine(machineOf(world, driver, stop.signal, watchman), { pausedMs: 0 }).run(world.record);
  const settled = driving.then(
    () => undefined,
    (error) => {
      if (!isFerry(error, "FERRY_CUTOVER_TAKEN")) throw error;
    },
  );
  // A dead driver reports nothing: an operator comes after a while, and resumes it.
  const operator = async (): Promise<void> => {
    await world.clock.sleep(20_000);
    const life = new Life();
    const deps = machineOf(world, life);
    const seen = await deps.memory.latest();
    if (isEnd(seen.record.state)) return;
    const mine = await deps.memory.take(seen.record, "lease");
    await new Machine(deps, mine).resume(mine.record);
  };
  await world.clock.until(
    Promise.all([operator(), driver.dead ? undefined : Promise.race([settled, world.clock.sleep(15_000)])]),
  );
  await world.clock.until(watching.catch(() => undefined));
  const { state } = world.record;
  assert.deepEqual(world.faults, [], `seed ${seed}`);
  assert.ok(isEnd(state), `seed ${seed}: ${state}`);
  assert.ok(!world.waits, `seed ${seed}: services wait for ever`);
  const released = world.done.includes("release");
  // Where a release was cut off, the one that resumes it gets another second.
  const limit = MAX_PAUSE + (released && driver.dead ? 10_000 + LEASE_MS : 0);
  assert.ok(world.longestMs <= limit, `seed ${seed}: ${world.longestMs} ms in ${world.done.join(", ")}`);
  if (state === "over") assert.deepEqual([world.address, world.fenced], ["target", true], `seed ${seed}`);
  else assert.deepEqual([world.address, world.fenced, world.deferred], ["source", false, true], `seed ${seed}`);
  return `${state}${driver.dead ? ", killed" : ""}`;
};

const SEEDS = Number(process.env["FERRY_SEEDS"] ?? 200);

test("killed at any deed, 200 seeds: never both sides, never neither for longer than the limit, always an end", async () => {
  const ends = new Map<string, number>();
  for (let seed = 1; seed <= SEEDS; seed++) {
    const end = await killed(seed);
    ends.set(end, (ends.get(end) ?? 0) + 1);
  }
  for (const end of ["over", "aborted, killed", "over, killed"])
    assert.ok((ends.get(end) ?? 0) >= SEEDS / 50, JSON.stringify([...ends]));
});
