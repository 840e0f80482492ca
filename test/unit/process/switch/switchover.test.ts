import assert from "node:assert/strict";
import { test } from "node:test";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import type { Fence } from "#cutover/machine/parts.ts";
import { Switchover } from "#process/switch/switchover.ts";
import { type SwitchDeps, switchParts } from "#process/switch/switchWiring.ts";
import { FakeClock } from "../../../harness/memory/fakeClock.ts";
import { MemoryMongo } from "../../../harness/memory/memoryMongo.ts";

/** Cutovers of one run in memory; the time of the server and of this process is one. */
class World {
  readonly clock = new FakeClock();
  readonly #target = new MemoryMongo();

  constructor() {
    this.#target.now = this.clock.now();
    this.#target.gate = () => {
      this.#target.now = this.clock.now();
    };
  }

  /** @param leaseMs of the process that drives it; none: it was left */
  note(state: string, { leaseMs, ...more }: Readonly<{ leaseMs?: number; fence?: string }> = {}): Promise<unknown> {
    const owner = leaseMs === undefined ? null : "other";
    const expiresAt = new Date(this.clock.now() + (leaseMs ?? 0));
    const entered = { checking: new Date(this.clock.now()), fencing: new Date(this.clock.now()) };
    const asked = { fence: "validator", namespaces: ["s.a"], maxPauseMs: 5000, laps: {} };
    const record = { _id: 1, state, epoch: 1, owner, expiresAt, entered, ...asked, ...more };
    return this.#target
      .state()
      .collection("cutovers")
      .insertOne(record as object);
  }

  /** Is the source still fenced by what has ended? */
  isFenced = true;
  /** What the operator was told. */
  readonly told: string[] = [];

  open(deps: Partial<SwitchDeps> = {}): Switchover {
    const given = {
      ...{ target: this.#target.client, state: this.#target.state() },
      ...{ named: [], fence: { kind: "validator" }, isBack: false, owner: "me", maxPauseMs: 5000, accepted: [] },
      by: { via: "cli", who: "a test" },
      tell: (sentence: string) => this.told.push(sentence),
      ...{ clock: this.clock, signal: new AbortController().signal, ...deps },
    } as unknown as SwitchDeps;
    const servers = { source: new MemoryMongo().client, kafka: undefined, connect: undefined };
    const left: Fence = {
      kind: "validator",
      unready: async () => (this.isFenced ? [new FerryError("FERRY_CUTOVER_FENCED", "it is up")] : []),
      raise: async () => 0n,
      lift: async () => undefined,
    };
    return new Switchover(given, { ...switchParts(given, servers), fenceLeft: () => left });
  }
}

const refusal = (code: FerryError["code"], detail: RegExp) => (error: unknown) =>
  isFerry(error, code) && detail.test(error.detail);

test("a cutover that no process drives is named first, with the ways on", async () => {
  const world = new World();
  await world.note("draining");
  const { missing, last } = await world.open().ready();
  assert.equal(last, undefined);
  assert.equal(missing.length, 1);
  assert.ok(refusal("FERRY_CUTOVER_ALIVE", /^cutover 1 is draining, and no process drives it: .*--abort/)(missing[0]));
  const [back] = (await world.open({ isBack: true }).ready()).missing;
  assert.ok(refusal("FERRY_CUTOVER_ALIVE", /^rollback 1 is draining, .*`ferry rollback --abort`/)(back));
});

test("the lease of a process that was killed is waited for; of one that lives, no longer than twice its length", async () => {
  const killed = new World();
  await killed.note("draining", { leaseMs: 1500 });
  const left = killed.open().ready();
  await killed.clock.pass(1700);
  assert.ok(refusal("FERRY_CUTOVER_ALIVE", /no process drives it/)((await left).missing[0]));
  const alive = new World();
  await alive.note("draining", { leaseMs: 60_000 });
  const driven = alive.open().ready();
  await alive.clock.pass(4200);
  assert.ok(refusal("FERRY_CUTOVER_ALIVE", /other drives it/)((await driven).missing[0]));
  assert.deepEqual(alive.told, ["looking whether other still drives cutover 1"]);
});

test("what may have sent services over is not taken back unless both sides may write", async () => {
  for (const state of ["releasing", "ending", "over"]) {
    const world = new World();
    await world.note(state);
    await assert.rejects(
      world.open().abort(false),
      refusal("FERRY_CUTOVER_RELEASED", new RegExp(`is ${state}`)),
      state,
    );
  }
});

test("services that went back have left nothing to lift: the refusal does not speak of services that were sent over", async () => {
  const world = new World();
  await world.note("over");
  world.isFenced = false;
  await assert.rejects(world.open().abort(false), refusal("FERRY_CUTOVER_NONE", /nothing is fenced/));
});

test("a fence that a command has put up is lifted by a command, or was lifted by hand: another kind is no answer", async () => {
  const world = new World();
  await world.note("draining", { fence: "hook" });
  const needsHook = refusal("FERRY_CUTOVER_FENCE", /^cutover 1 is fenced by a command: give --fence hook:COMMAND/);
  await assert.rejects(world.open().abort(false), needsHook);
  await assert.rejects(world.open({ fence: { kind: "user-write-block" } }).abort(false), needsHook);
});

test("a stop ends the wait for another process", async () => {
  const [world, stop] = [new World(), new AbortController()];
  await world.note("draining", { leaseMs: 60_000 });
  const waiting = assert.rejects(world.open({ signal: stop.signal }).abort(false), /stopped/);
  await world.clock.pass(300);
  stop.abort(new Error("stopped"));
  await waiting;
});

test("a second process watches the cutover that it was started for, and no other", async () => {
  const world = new World();
  await world.open().watch(1);
  await world.note("draining", { leaseMs: 60_000 });
  await world.open().watch(2);
});
