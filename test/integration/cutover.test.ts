import assert from "node:assert/strict";
import { test } from "node:test";
import { MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { every } from "#base/flow/every.ts";
import { waitFor } from "#base/flow/retry.ts";
import { compare } from "../harness/compare.ts";
import { moved, streaming } from "../harness/cutover.ts";
import { TcpProxy } from "../harness/proxy.ts";

test("user-write-block: services move with nothing lost or doubled, and the pause is printed with its parts", async () => {
  await using both = await streaming("block");
  const users = both.here.db("block").collection("users");
  await users.insertMany(Array.from({ length: 200 }, (_, n) => ({ n })));
  await users.createIndex({ email: 1 }, { unique: true, sparse: true });
  await users.createIndex({ at: 1 }, { expireAfterSeconds: 100_000 });
  const run = await both.start();
  const services = both.services();
  services.start(10, 20);
  const early = await both.command("cutover", ["--ready", "--max-lag", "60s", "--json"]);
  assert.equal(early.status, 1, early.err);
  const { missing } = JSON.parse(early.out);
  assert.deepEqual(
    missing.map(({ code }: { code: string }) => code),
    ["FERRY_CUTOVER_UNVERIFIED"],
  );
  const verified = await both.command("verify");
  assert.equal(verified.status, 0, verified.out + verified.err);
  // That all was compared a moment ago does not tell that the last changes will be.
  const unfollowed = await both.command("cutover", ["--ready", "--max-lag", "60s", "--verify-rest"]);
  assert.match(unfollowed.out, /FERRY_CUTOVER_UNVERIFIED: .*`ferry verify --follow` is not at work/, unfollowed.err);
  const rehearsed = await both.command("cutover", ["--rehearse", "--max-lag", "60s", "--max-pause", "20s", "--json"]);
  assert.equal(rehearsed.status, 0, rehearsed.err);
  assert.ok(JSON.parse(rehearsed.out).expectedPauseMs > 0);
  const following = await both.following();
  const { status, out, err } = await both.command("cutover", [
    "--max-lag",
    "60s",
    "--max-pause",
    "20s",
    "--verify-rest",
    "--on-release",
    services.release,
  ]);
  try {
    assert.equal(status, 0, out + err + run.logTail(20) + following.logTail(5));
    assert.match(out, /the pause was \d+ ms: fencing \d+ ms, draining \d+ ms, proving \d+ ms, restoring/);
    await moved(services);
    assert.deepEqual(await services.settle("target"), { lost: 0, doubled: 0 });
    // What services write on their new side is no fault of what was carried.
    assert.equal((await following.exited).code, 0, following.logTail(5));
    assert.match(following.log(), /not compared, since services were sent to the target: block\.users/);
    assert.doesNotMatch(following.log(), /[1-9]\d* wrong/);
    const again = await both.command("verify");
    assert.match(again.err, /FERRY_VERIFY_SWITCHED: block\.users/, again.out);
    assert.equal(again.status, 76);
    const refused = await both.command("cutover", ["--abort"]);
    assert.match(refused.err, /FERRY_CUTOVER_RELEASED/);
    const indexes = await both.there.db("block").collection("users").indexes();
    assert.equal(indexes.find(({ name }) => name === "email_1")?.unique, true);
    assert.equal(indexes.find(({ name }) => name === "at_1")?.["expireAfterSeconds"], 100_000);
    assert.equal((await run.exited).code, 0);
  } finally {
    await both.unblock();
  }
});

test("validator, for one namespace: its services move, the others stream on, and the former rule comes back when it is lifted", async () => {
  await using both = await streaming("some");
  const db = both.here.db("some");
  const rule = { validator: { n: { $type: "int" } }, validationLevel: "moderate", validationAction: "warn" };
  await db.createCollection("users", rule as never);
  await db.collection("orders").insertMany(Array.from({ length: 50 }, (_, n) => ({ n })));
  const run = await both.start();
  const services = both.services();
  services.start(5, 20);
  await waitFor(async () => (services.acked > 50 ? { done: undefined } : { seen: services.acked }), {
    ...{ what: "services to write", clock: systemClock, timeoutMs: 20_000 },
  });
  const wrong = await both.command("cutover", ["--namespace", "some.usres", "--ready"]);
  assert.match(wrong.err, /FERRY_USAGE: some\.usres is not carried/);
  const tooMuch = await both.command("cutover", ["--namespace", "some.users", "--fence", "user-write-block"]);
  assert.match(tooMuch.err, /FERRY_CUTOVER_FENCE: user-write-block stops the whole cluster/);
  const accept = ["--accept", "FERRY_CUTOVER_UNVERIFIED", "--max-lag", "60s"];
  const named = ["--namespace", "some.users", ...accept];
  // What waits of another namespace is no obstacle to this one.
  const letters = both.there.db("ferry_some").collection("deadLetters");
  await letters.insertOne({ route: "some.orders", partition: 99 });
  const { status, out, err } = await both.command("cutover", [...named, "--on-release", services.release, "--json"]);
  assert.equal(status, 0, out + err + run.logTail(20));
  await moved(services);
  assert.deepEqual(await services.settle("target"), { lost: 0, doubled: 0 });
  const facts = JSON.parse(out);
  assert.deepEqual([facts.state, facts.fence, facts.namespaces], ["over", "validator", ["some.users"]]);
  assert.ok(facts.pause.ms > 0 && facts.pause.ms < 5000, out);
  await assert.rejects(db.collection<{ _id: string }>("users").insertOne({ _id: "late" }), { code: 121 });
  await db.collection<{ _id: string }>("orders").insertOne({ _id: "later" });
  const orders = both.there.db("some").collection<{ _id: string }>("orders");
  await waitFor(async () => ((await orders.findOne({ _id: "later" })) === null ? { seen: "none" } : { done: 1 }), {
    ...{ what: "the others to stream on", clock: systemClock, timeoutMs: 20_000 },
  });
  const verified = await both.command("verify");
  assert.equal(verified.status, 0, verified.out + verified.err);
  assert.match(verified.out, /^some\.orders: .*all equal/m);
  assert.match(verified.out, /^not compared, since services were sent to the target: some\.users/m);
  assert.doesNotMatch(verified.out, /^some\.users:/m);
  // The other way at once: refused where the run still carries, and not where it was switched over.
  const loop = await both.otherWay(["--include", "some.*"]);
  assert.match(loop.err, /FERRY_RUN_LOOP: .*carries some\.orders$/m);
  const reverse = await both.reverse();
  await both.there.db("some").collection<{ _id: string }>("users").insertOne({ _id: "new side" });
  const former = db.collection<{ _id: string }>("users");
  await waitFor(async () => ((await former.findOne({ _id: "new side" })) === null ? { seen: 0 } : { done: 1 }), {
    ...{ what: "the former source to follow", clock: systemClock, timeoutMs: 20_000 },
  });
  // And the run that still reads the former source does not carry it round.
  const runs = both.there.db("ferry_some").collection("lanes");
  await waitFor(
    async () => {
      const lane = await runs.findOne({ route: "some.users", "filteredBy.switched-since": { $gt: 0 } });
      return lane === null ? { seen: run.logTail(5) } : { done: undefined };
    },
    { what: "the run to leave it out", clock: systemClock, timeoutMs: 20_000 },
  );
  // Under another name for its state it would be no less of a loop.
  const round = await both.command("run", ["--include", "some.users", "--state-db", "ferry_some_other"]);
  assert.match(round.err, /FERRY_RUN_LOOP: .*\(its state: ferry_some_reverse\) carries some\.users$/m);
  // And one that was killed is no loop when it resumes: it carries that no longer.
  run.kill("SIGKILL");
  const resumed = await both.resumed();
  // The next namespace follows: the same run carries it back, too, and each goes back by itself.
  const waits = await both.command("cutover", ["--namespace", "some.orders", ...accept, "--ready"]);
  assert.match(waits.out, /FERRY_RUN_LETTERS: 1 dead letter not replayed \(some\.orders: 1\)/, waits.err);
  await letters.deleteMany({});
  const next = await both.command("cutover", ["--namespace", "some.orders", ...accept]);
  assert.equal(next.status, 0, next.out + next.err + resumed.logTail(20));
  await orders.insertOne({ _id: "new side" });
  const formerOrders = db.collection<{ _id: string }>("orders");
  await waitFor(
    async () => ((await formerOrders.findOne({ _id: "new side" })) ? { done: 1 } : { seen: reverse.logTail(5) }),
    {
      ...{ what: "the former source to follow with both", clock: systemClock, timeoutMs: 20_000 },
    },
  );
  const back = await both.command("rollback", ["--namespace", "some.orders", ...accept]);
  assert.equal(back.status, 0, back.out + back.err + reverse.logTail(20));
  await formerOrders.insertOne({ _id: "back" });
  await assert.rejects(orders.insertOne({ _id: "astray" }), { code: 121 }, "the target of what went back is fenced");
  await assert.rejects(former.insertOne({ _id: "astray" } as never), { code: 121 }, "and the source of what did not");
  await both.there.db("some").collection<{ _id: string }>("users").insertOne({ _id: "stays" });
  await waitFor(
    async () => ((await former.findOne({ _id: "stays" })) === null ? { seen: reverse.logTail(5) } : { done: 1 }),
    {
      ...{ what: "the one that stays to be carried back still", clock: systemClock, timeoutMs: 20_000 },
    },
  );
  reverse.kill("SIGTERM");
  await reverse.exited;
  const lifted = await both.command("cutover", ["--abort", "--allow-both", "--namespace", "some.users"]);
  assert.equal(lifted.status, 0, lifted.err);
  const [users] = await db.listCollections({ name: "users" }).toArray();
  assert.deepEqual((users as { options?: object }).options, rule);
});

test("what goes wrong leaves everything as it was: fences, hooks, writers, an open transaction", async () => {
  await using both = await streaming("wrong");
  const coll = both.here.db("wrong").collection<{ _id: string; at?: Date }>("c");
  await coll.createIndex({ at: 1 }, { expireAfterSeconds: 100_000 });
  await coll.insertOne({ _id: "first" });
  const ring = await both.here.db("wrong").createCollection<{ _id: string }>("ring", { capped: true, size: 1 << 20 });
  await ring.insertMany([{ _id: "one" }, { _id: "two" }]);
  const run = await both.start();
  let written = 0;
  /** The source takes writes, and they arrive. */
  const goesOn = async (): Promise<void> => {
    const _id = `after ${++written}`;
    await coll.insertOne({ _id });
    const there = both.there.db("wrong").collection<{ _id: string }>("c");
    await waitFor(async () => ((await there.findOne({ _id })) === null ? { seen: run.logTail(5) } : { done: 1 }), {
      ...{ what: `${_id} to arrive`, clock: systemClock, timeoutMs: 20_000 },
    });
  };
  const accept = ["--accept", "FERRY_CUTOVER_UNVERIFIED", "--max-lag", "60s"];
  const refused = async (code: string | RegExp, ...args: readonly string[]): Promise<string> => {
    const { status, out, err } = await both.command("cutover", [...accept, ...args]);
    assert.notEqual(status, 0, out);
    assert.match(err, new RegExp(code), out);
    await goesOn();
    return out + err;
  };
  await refused("FERRY_CUTOVER_FENCE: there is no fence", "--fence", "wall");
  await refused("FERRY_CUTOVER_FENCE: a hook names", "--fence", "hook:");
  await refused("FERRY_USAGE: --max-pause", "--max-pause", "soon");
  await refused("FERRY_USAGE: --max-pause 300ms is too short: the last 300 ms", "--max-pause", "300ms");
  const noWay = "hook:[ $FERRY_STEP = lift ] || { echo no way; exit 3; }";
  await refused("FERRY_CUTOVER_HOOK: .*ended with status 3: no way", "--fence", noWay);
  // A command that fails at lifting, too: the operator does it by hand, and says so.
  const never = await both.command("cutover", [...accept, "--fence", "hook:exit 4"]);
  assert.match(
    never.err,
    /FERRY_CUTOVER_HOOK: .*`lift` ended with status 4; it stays lifting \(it goes back since: .*`fence` ended with status 4\): .*--abort.*--fence none/,
  );
  assert.match((await both.command("cutover", ["--abort"])).err, /FERRY_CUTOVER_FENCE: .*or --fence none/);
  const byHand = await both.command("cutover", ["--abort", "--fence", "none"]);
  assert.match(byHand.out, /was taken back/, byHand.err);
  await goesOn();
  // The reader of its stdout goes away: that is a stop like any other.
  const unread = await both.readUntil(/fencing the source/, "cutover", [...accept, "--on-release", "sleep 1; exit 3"]);
  assert.equal(unread.err.replace(/^.*trying again\n/gm, ""), "", "nothing but a stop");
  await goesOn();
  // The fence holds, and the release fails: what was restored is deferred again.
  await refused("FERRY_CUTOVER_HOOK: .*`release` ended with status 5", "--on-release", "exit 5");
  const [index] = (await both.there.db("wrong").collection("c").indexes()).filter(({ name }) => name === "at_1");
  assert.notEqual(index?.["expireAfterSeconds"], 100_000);
  // A capped collection takes no transactions: it is an ordinary one again, and follows its source.
  await ring.insertOne({ _id: "three" });
  const there = both.there.db("wrong").collection<{ _id: string }>("ring");
  await waitFor(
    async () => {
      const ids = (await there.find().toArray()).map(({ _id }) => _id).sort();
      return ids.length === 3 ? { done: ids } : { seen: `${ids}: ${run.logTail(5)}` };
    },
    { what: "a document of a capped collection to arrive", clock: systemClock, timeoutMs: 20_000 },
  );
  assert.equal(await there.isCapped(), false);
  const slow = await refused("FERRY_CUTOVER_(HOOK|PAUSE)", ...["--max-pause", "1s", "--on-release", "sleep 60"]);
  // On a slow machine the limit is reached before the hook.
  if (/FERRY_CUTOVER_HOOK/.test(slow)) assert.match(slow, /killed/);

  // A service that writes all the time, and one that writes now and then: neither has stopped.
  for (const everyMs of [5, 1500]) {
    const ending = new AbortController();
    const writer = every(everyMs, { clock: systemClock, ended: ending.signal, first: "now" }, async () => {
      await coll.insertOne({ _id: `busy ${++written}` });
    });
    try {
      await refused("FERRY_SOURCE_WRITES", "--fence", "none");
    } finally {
      ending.abort();
      await writer;
    }
  }

  const session = both.here.startSession();
  session.startTransaction();
  await coll.insertOne({ _id: "open" }, { session });
  const held = both.command("cutover", [...accept, "--max-pause", "1500ms"]);
  const late = await held;
  assert.match(
    late.err,
    /FERRY_CUTOVER_PAUSE: .*the source did not refuse writes, which an open transaction/,
    late.out,
  );
  await session.abortTransaction();
  await goesOn();

  // The refusal names a target that takes no writes, and nothing is tried again and again.
  await both.there.db("admin").command({ setUserWriteBlockMode: 1, global: true });
  const onto = ["--state-db", "ferry_wrong_again", "--include", "wrong.*", "--conflict", "mirror"];
  const fenced = await both.command("run", onto);
  await both.there.db("admin").command({ setUserWriteBlockMode: 1, global: false });
  assert.match(fenced.err, /FERRY_TARGET_FENCED: the target refuses the writes of all its users/, fenced.out);
  await both.there.db("ferry_wrong_again").createCollection("runs");
  const none = await both.command("cutover", ["--ready", "--json", "--state-db", "ferry_wrong_again"]);
  assert.match(none.out, /"missing"/, none.err);
  assert.deepEqual([none.status, JSON.parse(none.out).missing[0].code], [1, "FERRY_RUN_NONE"]);

  await both.here.db("admin").command({ setUserWriteBlockMode: 1, global: true });
  const foreign = await both.command("cutover", [...accept]);
  assert.match(foreign.err, /FERRY_CUTOVER_FENCED/);
  const kept = await both.command("cutover", ["--abort"]);
  assert.match(kept.err, /FERRY_CUTOVER_FENCED: no cutover of this --state-db left it/, "it is not ferry's");
  const aborted = await both.command("cutover", ["--abort", "--allow-both"]);
  assert.equal(aborted.status, 0, aborted.err);
  await goesOn();
  assert.match((await both.command("cutover", ["--abort"])).err, /FERRY_CUTOVER_NONE/);

  const { out: ready } = await both.command("cutover", [...accept, "--ready"]);
  assert.match(ready, /^there is no way back for wrong\.ring: it is capped/m);
  // No service writes any more: that is proven, and the run ends.
  const { status, out, err } = await both.command("cutover", [...accept, "--fence", "none"]);
  assert.equal(status, 0, out + err);
  assert.equal((await run.exited).code, 0);
  const indexes = await both.there.db("wrong").collection("c").indexes();
  assert.equal(indexes.find(({ name }) => name === "at_1")?.["expireAfterSeconds"], 100_000);
  assert.equal(await there.isCapped(), true);
  assert.deepEqual(
    await there
      .find({}, { hint: { $natural: 1 } })
      .map(({ _id }) => _id)
      .toArray(),
    ["one", "two", "three"],
  );
});

/** Increments through a connection that loses each second answer, so that a retry by the driver is always on its way. */
const retriedWrites = async (here: MongoClient, name: string) => {
  const proxy = await TcpProxy.start(here.options.hosts[0]?.port ?? 0);
  const uri = `mongodb://127.0.0.1:${proxy.port}/?directConnection=true&retryWrites=true`;
  const client = await new MongoClient(uri, { writeConcern: { w: "majority" } }).connect();
  const counters = client.db(name).collection<{ _id: string; n: number }>("counters");
  await here.db(name).collection<{ _id: string; n: number }>("counters").insertOne({ _id: "retried", n: 0 });
  const account = { acked: 0, unknown: 0 };
  return {
    account,
    proxy,
    increment: async (n: number): Promise<void> => {
      if (n % 2 === 0) proxy.loseAnswerTo((bytes) => bytes.includes("retried"));
      try {
        await counters.updateOne({ _id: "retried" }, { $inc: { n: 1 } });
        account.acked++;
      } catch {
        account.unknown++; // its first try may have been done, or the fence has refused it
      }
    },
    [Symbol.asyncDispose]: async (): Promise<void> => {
      await client.close();
      await proxy[Symbol.asyncDispose]();
    },
  };
};

test("open transactions, retried writes, $out, documents that expire and an index that is built, at the moment of the fence", async (t) => {
  await using both = await streaming("edges");
  const db = both.here.db("edges");
  await db.collection("big").insertMany(Array.from({ length: 20_000 }, (_, n) => ({ n, text: "x".repeat(100) })));
  await db.collection("short").createIndex({ at: 1 }, { expireAfterSeconds: 0 });
  await db.createCollection("copied");
  await using retried = await retriedWrites(both.here, "edges");
  const run = await both.start();
  await both.here.db("admin").command({ setParameter: 1, ttlMonitorSleepSecs: 1 });
  const services = both.services();
  services.start(5, 20);
  let isOver = false;
  const forever = async (everyMs: number, work: (n: number) => Promise<unknown>): Promise<void> => {
    for (let n = 1; !isOver; n++) {
      await work(n).catch(() => undefined); // refused by the fence
      await systemClock.sleep(everyMs);
    }
  };
  const transaction = async (n: number): Promise<void> => {
    const session = both.here.startSession();
    try {
      await session.withTransaction(async () => {
        await db.collection("pairs").insertOne({ n, side: "left" }, { session });
        await systemClock.sleep(30);
        await db.collection("pairs").insertOne({ n, side: "right" }, { session });
      });
    } finally {
      await session.endSession();
    }
  };
  const busy = [
    forever(50, transaction),
    forever(4000, () =>
      db
        .collection("big")
        .aggregate([{ $limit: 500 }, { $out: "copied" }])
        .toArray(),
    ),
    forever(50, () => db.collection("short").insertOne({ at: new Date(Date.now() + Math.random() * 2000) })),
    forever(5, retried.increment),
    forever(2000, (n) => db.collection("big").createIndex({ n: 1, text: 1 }, { name: `built ${n}` })),
  ];
  const accept = [
    "--accept",
    "FERRY_CUTOVER_UNVERIFIED,FERRY_STRUCTURE_INCOMPLETE",
    "--max-lag",
    "20s",
    "--max-pause",
    "20s",
  ];
  try {
    const { status, out, err } = await both.command("cutover", [...accept, "--on-release", services.release]);
    t.diagnostic(`${status}: ${out.split("\n").at(-2)} ${err}`);
    assert.ok(status === 0 || /FERRY_STRUCTURE_INCOMPLETE/.test(err), out + err + run.logTail(20));
    await moved(services);
    isOver = true;
    await Promise.all(busy);
    for (const name of ["big", "copied", "pairs", "counters"]) {
      const found = await compare(db.collection(name), both.there.db("edges").collection(name));
      assert.equal(found.wrong, 0, `${name}: ${JSON.stringify(found)}`);
    }
    assert.equal(
      (await both.there.db("edges").collection("pairs").countDocuments()) % 2,
      0,
      "no half of a transaction",
    );
    const there = both.there.db("edges").collection<{ _id: string; n: number }>("counters");
    const { n = -1 } = (await there.findOne({ _id: "retried" })) ?? {};
    const { acked, unknown } = retried.account;
    t.diagnostic(`${acked} acknowledged, ${unknown} not, ${retried.proxy.lost} answers lost; the target counted ${n}`);
    assert.ok(retried.proxy.lost > 10, "retries were on their way");
    assert.ok(n >= acked && n <= acked + unknown, "what was acknowledged is there, and nothing twice");
    assert.deepEqual(await services.settle("target"), { lost: 0, doubled: 0 });
  } finally {
    isOver = true;
    await both.unblock();
    await both.here.db("admin").command({ setParameter: 1, ttlMonitorSleepSecs: 60 });
  }
});
