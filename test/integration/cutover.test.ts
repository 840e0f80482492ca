import assert from "node:assert/strict";
import { test } from "node:test";
import { MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import type { CutoverRecord } from "#cutover/record.ts";
import { startDirect } from "../harness/directRun.ts";
import { type FerryRun, ferry } from "../harness/ferry.ts";
import { sharedMongo } from "../harness/servers.ts";
import { Services } from "../harness/services.ts";

/** Both sides, a run that streams one database, and commands against it. */
const streaming = async (name: string) => {
  const [source, target] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  const stack = new AsyncDisposableStack();
  const here = stack.use(await new MongoClient(source.uri).connect());
  const there = stack.use(await new MongoClient(target.uri).connect());
  const stateDb = `ferry_${name}`;
  const urls = ["--source", source.uri, "--target", target.uri, "--state-db", stateDb];
  const command = (what: string, ...args: readonly string[]): Promise<FerryRun> =>
    ferry([...what.split(" "), ...urls, ...args]);
  const start = async () => {
    const run = stack.use(
      await startDirect({
        source: source.uri,
        target: target.uri,
        include: [`${name}.*`],
        args: ["--state-db", stateDb],
      }),
    );
    await run.says("copy finished");
    return run;
  };
  const services = (coll = "users"): Services =>
    stack.use(new Services({ source: source.uri, target: target.uri }, { db: name, coll }));
  const cutovers = there.db(stateDb).collection<CutoverRecord>("cutovers");
  const lifted = async (): Promise<void> => {
    await here.db("admin").command({ setUserWriteBlockMode: 1, global: false });
  };
  const dispose = () => stack.disposeAsync();
  return {
    source,
    target,
    here,
    there,
    stateDb,
    command,
    start,
    services,
    cutovers,
    lifted,
    [Symbol.asyncDispose]: dispose,
  };
};

const moved = (services: Services): Promise<void> =>
  waitFor(async () => (services.areMoved ? { done: undefined } : { seen: services.acked }), {
    what: "every client to write to the target",
    clock: systemClock,
    timeoutMs: 20_000,
    everyMs: 20,
  });

test("user-write-block: services move with nothing lost or doubled, and the pause is printed with its parts", async () => {
  await using both = await streaming("block");
  const users = both.here.db("block").collection("users");
  await users.insertMany(Array.from({ length: 200 }, (_, n) => ({ n })));
  await users.createIndex({ email: 1 }, { unique: true, sparse: true });
  await users.createIndex({ at: 1 }, { expireAfterSeconds: 100_000 });
  const run = await both.start();
  const services = both.services();
  services.start(20, 5);
  const early = await both.command("cutover", "--ready", "--json");
  assert.equal(early.status, 1, early.err);
  const { missing } = JSON.parse(early.out);
  assert.deepEqual(
    missing.map(({ code }: { code: string }) => code),
    ["FERRY_CUTOVER_UNVERIFIED"],
  );
  const verified = await both.command("verify");
  assert.equal(verified.status, 0, verified.out + verified.err);
  const rehearsed = await both.command("cutover", "--rehearse", "--json");
  assert.equal(rehearsed.status, 0, rehearsed.err);
  assert.ok(JSON.parse(rehearsed.out).expectedPauseMs > 0);
  const { status, out, err } = await both.command("cutover", "--on-release", services.release);
  try {
    assert.equal(status, 0, out + err + run.logTail(20));
    assert.match(out, /the pause was \d+ ms: fencing \d+ ms, draining \d+ ms, proving \d+ ms, restoring/);
    await moved(services);
    assert.deepEqual(await services.settle("target"), { lost: 0, doubled: 0 });
    const refused = await both.command("cutover", "--abort");
    assert.match(refused.err, /FERRY_CUTOVER_RELEASED/);
    const indexes = await both.there.db("block").collection("users").indexes();
    assert.equal(indexes.find(({ name }) => name === "email_1")?.unique, true);
    assert.equal(indexes.find(({ name }) => name === "at_1")?.["expireAfterSeconds"], 100_000);
    assert.equal((await run.exited).code, 0);
  } finally {
    await both.lifted();
  }
});
