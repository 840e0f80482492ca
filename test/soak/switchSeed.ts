import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { MongoServerError } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { every } from "#base/flow/every.ts";
import { waitFor } from "#base/flow/retry.ts";
import { STATES } from "#cutover/machine/cutoverTable.ts";
import type { State } from "#cutover/machine/record.ts";
import { oneOf, seeded } from "#tools/workload/people.ts";
import type { MovingServices } from "../../bench/lib/movingServices.ts";
import { type Switching, switching } from "../harness/switching.ts";
import type { FerryProcess } from "../harness/worker.ts";
import type { SoakServers } from "./servers.ts";

/** How long services may be without a side to write to, ms. */
const MAX_PAUSE_MS = 4000;
/** What a busy machine adds before a client is answered, ms. */
const SLACK_MS = 3000;
/** In which a supervisor starts a process again, ms. */
const AGAIN_MS = 300;
/** Of one seed, until its services are on the target. */
const ATTEMPTS = 4;

/** From the first state to the last, in the order in which a cutover comes through them. */
const PASSED: readonly State[] = STATES.filter((state) => !["lifting", "over", "aborted"].includes(state));

export type SwitchPlan = Readonly<{
  topology: "direct" | "kafka";
  state: State;
  phase: "entered" | "acted";
  /** `cutover` drives it, `second` lifts the fence where that one does not, the others carry. */
  victim: "cutover" | "second" | "run" | "capture" | "worker";
}>;

/** Every kind of process in every state at both moments, one after the other: 112 seeds come through all of them. */
export const switchPlanOf = (seed: number): SwitchPlan => {
  const cases = (["direct", "kafka"] as const).flatMap((topology) =>
    PASSED.flatMap((state) =>
      (["entered", "acted"] as const).flatMap((phase) => {
        const carriers = topology === "direct" ? (["run"] as const) : (["capture", "worker"] as const);
        return (["cutover", "second", ...carriers] as const).map((victim) => ({ topology, state, phase, victim }));
      }),
    ),
  );
  // A step that has no divisor in common with their number, so that neighbours differ in everything.
  return cases[(seed * 37) % cases.length] as SwitchPlan;
};

/** The process of this one's that was started last. */
const childOf = (pid: number | undefined): number | undefined => {
  try {
    const pids = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
    return Number(pids.at(-1)) || undefined;
  } catch {
    return undefined;
  }
};

const again = async (process: FerryProcess): Promise<void> => {
  await process.exited;
  await systemClock.sleep(AGAIN_MS);
  await process.start().catch(() => undefined); // a run that is over refuses to start
};

/** A cutover that a kill has left before its second process watched is what `ferry cutover` itself takes back. */
const isLeft = (out: string): boolean => /"FERRY_CUTOVER_ALIVE","detail":"[^"]*no process drives it/.test(out);

const ready = (both: Switching, args: readonly string[]): Promise<void> =>
  waitFor(
    async () => {
      const { status, out, err } = await both.command("cutover", [...args, "--ready", "--json"]);
      return status === 0 || isLeft(out) ? { done: undefined } : { seen: out + err };
    },
    { what: "nothing to be missing", clock: systemClock, timeoutMs: 60_000, everyMs: 300 },
  );

/** Kills the process of the plan when the cutover stands in the plan's state. */
const interrupted = async (both: Switching, plan: SwitchPlan, args: readonly string[]): Promise<void> => {
  const fault = `cutover-${plan.phase}:${PASSED.indexOf(plan.state) + 1}`;
  if (plan.victim === "cutover") {
    const { err } = await both.command("cutover", args, { FERRY_FAULT: fault });
    assert.match(err, /fault point/);
    return;
  }
  const cutover = await both.frozen(args, fault);
  if (plan.victim === "second") {
    const pid = childOf(cutover.pid);
    if (pid !== undefined) process.kill(pid, "SIGKILL"); // before `approaching` there is none
    cutover.kill("SIGCONT");
  } else {
    const [first, last] = [both.processes[0], both.processes.at(-1)];
    const victim = plan.victim === "worker" ? last : first;
    victim?.kill("SIGKILL");
    cutover.kill("SIGCONT");
    if (victim !== undefined) await again(victim);
  }
  await cutover.exited;
};

/** Writes to the source for as long as services are on the target: the fence must refuse every one of them. */
const probing = async (
  both: Switching,
  name: string,
  services: MovingServices,
  ended: AbortSignal,
): Promise<number> => {
  const users = both.here.db(name).collection<{ _id: string }>("users");
  let accepted = 0;
  await every(20, { clock: systemClock, ended, first: "now" }, async () => {
    if (!services.sentTo("target")) return;
    try {
      await users.updateOne({ _id: "probe" }, { $inc: { n: 1 } }, { upsert: true });
      accepted++;
    } catch (error) {
      if (!(error instanceof MongoServerError)) throw error;
    }
  });
  return accepted;
};

/** One cutover under load, one of whose processes is killed in one of its states, to its end. @returns what came of it */
export const switchSeed = async (seed: number, { source, target, kafka }: SoakServers): Promise<string> => {
  const plan = switchPlanOf(seed);
  const random = seeded(seed);
  const name = `switch${seed}`;
  const bootstrap = plan.topology === "kafka" ? (await kafka()).bootstrap : undefined;
  await using both = await switching(
    { source: source.uri, target: target.uri, bootstrap, connectUrl: undefined },
    name,
  );
  const users = both.here.db(name).collection("users");
  await users.createIndex({ email: 1 }, { unique: true, sparse: true });
  await users.createIndex({ at: 1 }, { expireAfterSeconds: 100_000 });
  await both.start();
  const services = both.services();
  services.start(8, 20);
  const there = both.there.db(name).collection("users");
  await waitFor(
    async () => ((await there.countDocuments()) >= 8 ? { done: 1 } : { seen: both.processes[0]?.logTail(5) }),
    {
      ...{ what: "a document of every client on the target", clock: systemClock, timeoutMs: 60_000 },
    },
  );
  const fence = oneOf(random, ["validator", "user-write-block"]);
  const args = [
    ...["--accept", "FERRY_CUTOVER_UNVERIFIED", "--fence", fence, "--max-lag", "60s"],
    ...["--max-pause", `${MAX_PAUSE_MS}ms`, "--on-release", services.release],
  ];
  const ended = new AbortController();
  const probes = probing(both, name, services, ended.signal);
  services.longestWait();
  let attempts = 1;
  try {
    await ready(both, args);
    await interrupted(both, plan, args);
    for (; !(await isOver(both)); attempts++) {
      assert.ok(attempts < ATTEMPTS, `not over after ${attempts} attempts`);
      // One that has sent them is finished, whatever is missing.
      if (!services.sentTo("target")) await ready(both, args);
      await both.command("cutover", args);
    }
    await waitFor(async () => (services.areOn("target") ? { done: undefined } : { seen: services.acked }), {
      ...{ what: "services on the target", clock: systemClock, timeoutMs: 20_000, everyMs: 20 },
    });
    const waited = Math.round(services.longestWait());
    assert.ok(waited < MAX_PAUSE_MS + SLACK_MS, `a client waited for ${waited} ms`);
    ended.abort();
    assert.equal(await probes, 0, "the source took writes while services were on the target");
    assert.deepEqual(await services.settle("target"), { lost: 0, doubled: 0 });
    return `${attempts === 1 ? "switched over" : `over with attempt ${attempts}`}, the longest wait ${waited} ms`;
  } finally {
    ended.abort();
    await both.unblock();
  }
};

const isOver = async (both: Switching): Promise<boolean> => {
  const [last] = await both.cutovers.find().sort({ _id: -1 }).limit(1).toArray();
  return last?.state === "over";
};
