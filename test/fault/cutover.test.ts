import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { STATES } from "#cutover/machine/cutoverTable.ts";
import type { State } from "#cutover/machine/record.ts";
import { moved, streaming } from "../harness/cutover.ts";
import { testSeed } from "../harness/load.ts";

const MAX_PAUSE_MS = 4000;
/** What a busy machine adds to the limit before a client is answered, ms. */
const SLACK_MS = 2500;

/** In the order in which a cutover comes through them. */
const BEFORE: readonly State[] = ["checking", "approaching", "fencing", "draining", "proving", "restoring"];
const PHASES = ["entered", "acted"] as const;

/** FERRY_FAULT for a state, where the process comes through all states from the first. */
const faultAt = (state: State, phase: (typeof PHASES)[number]): string =>
  `cutover-${phase}:${STATES.indexOf(state) + 1}`;

const ALL = BEFORE.flatMap((state) => PHASES.map((phase) => [state, phase] as const));

/** Some of them, others with each seed; all with FERRY_ALL_STATES. */
const chosen = (seed: number): readonly (readonly [State, (typeof PHASES)[number]])[] => {
  if (process.env["FERRY_ALL_STATES"] !== undefined) return ALL;
  return [0, 1, 2].map((n) => ALL[(seed + n * 5) % ALL.length] ?? ["fencing", "acted"]);
};

test("killed with SIGKILL in any state it goes back within the limit, or on; never both sides, nothing lost or doubled", async (t) => {
  const seed = testSeed();
  await using both = await streaming("killed");
  const users = both.here.db("killed").collection("users");
  await users.createIndex({ email: 1 }, { unique: true, sparse: true });
  await users.createIndex({ at: 1 }, { expireAfterSeconds: 100_000 });
  const run = await both.start();
  const services = both.services();
  services.start(8, 20);
  const args = ["--accept", "FERRY_CUTOVER_UNVERIFIED", "--max-lag", "60s", "--max-pause", `${MAX_PAUSE_MS}ms`];
  const release = [...args, "--on-release", services.release];
  /** The next one begins with its first state, so that its fault points count from there. */
  const clear = () => both.command("cutover", ["--abort"]);
  try {
    for (const [state, phase] of chosen(seed)) {
      const point = `${state}, ${phase}`;
      await clear();
      services.longestWait();
      const before = services.acked;
      const killed = await both.command("cutover", release, { FERRY_FAULT: faultAt(state, phase) });
      assert.match(killed.err, /fault point/, point);
      // What it left behind the second process takes back, where there was one; otherwise nothing was fenced.
      const [record] = await both.cutovers.find().sort({ _id: -1 }).limit(1).toArray();
      assert.ok(record !== undefined && (record.state === "aborted" || record.entered.fencing === undefined), point);
      assert.equal(await both.isBlocked(), false, point);
      const waited = services.longestWait();
      assert.ok(waited < MAX_PAUSE_MS + SLACK_MS, `${point}: a client waited for ${waited} ms`);
      await systemClock.sleep(50);
      assert.ok(services.acked > before, point);
      t.diagnostic(`${point}: ${record.state}, the longest wait ${Math.round(waited)} ms`);
    }
    await clear();
    // One that stands still is followed as well, and finds out when it comes to itself.
    const held = await both.frozen(release, faultAt("draining", "entered"));
    await waitFor(async () => ((await both.isBlocked()) ? { seen: "fenced" } : { done: undefined }), {
      ...{ what: "the second process to lift the fence", clock: systemClock, timeoutMs: MAX_PAUSE_MS + SLACK_MS },
    });
    held.kill("SIGCONT");
    assert.notEqual((await held.exited).code, 0);
    assert.match(held.log(), /FERRY_CUTOVER_(PAUSE|INTERRUPTED): cutover \d+ went back/);
    assert.equal(await both.isBlocked(), false);

    // After the release there is no way back: the next process resumes it.
    const phase = PHASES[seed % 2] ?? "acted";
    services.longestWait();
    const cut = await both.command("cutover", release, { FERRY_FAULT: faultAt("releasing", phase) });
    assert.match(cut.err, /fault point/);
    await moved(services);
    assert.equal(await both.isBlocked(), true, "the source stays fenced");
    assert.ok(services.longestWait() < MAX_PAUSE_MS + SLACK_MS);
    const looked = await both.command("cutover", ["--ready"]);
    assert.equal(looked.status, 1, looked.err);
    assert.match(
      looked.out,
      /FERRY_CUTOVER_ALIVE: cutover \d+ is ending, and no process drives it: `ferry cutover --state-db ferry_killed` resumes it/,
    );
    const again = await both.command("cutover", release);
    assert.equal(again.status, 0, again.out + again.err + run.logTail(20));
    const [last] = await both.cutovers.find().sort({ _id: -1 }).limit(1).toArray();
    assert.equal(last?.state, "over");
    assert.deepEqual(await services.settle("target"), { lost: 0, doubled: 0 });
  } finally {
    await both.unblock();
  }
});

test("a run that dies before the last change has arrived: the fence is lifted, and it says why", async () => {
  await using both = await streaming("dies");
  await both.here.db("dies").collection("users").insertOne({ n: 1 });
  const run = await both.start();
  const args = ["--accept", "FERRY_CUTOVER_UNVERIFIED", "--max-lag", "60s", "--max-pause", `${MAX_PAUSE_MS}ms`];
  // It stands still with the fence up, until the run is dead.
  const cutover = await both.frozen(args, faultAt("fencing", "entered"));
  run.kill("SIGKILL");
  await run.exited;
  cutover.kill("SIGCONT");
  assert.notEqual((await cutover.exited).code, 0);
  assert.match(cutover.log(), /FERRY_(RUN_BEHIND|CUTOVER_PAUSE|CUTOVER_INTERRUPTED)/);
  assert.equal(await both.isBlocked(), false);
});
