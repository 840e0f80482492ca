import assert from "node:assert/strict";
import { test } from "node:test";
import type { Document, MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { bothSides } from "../harness/bothSides.ts";
import { type DirectStart, directConverged, startDirect } from "../harness/directRun.ts";
import { ferry } from "../harness/ferry.ts";

const sides = async (stateDb: string) => {
  const { source, target, here, there, stack } = await bothSides();
  const options = (include: readonly string[], ...args: readonly string[]): DirectStart => ({
    source: source.uri,
    target: target.uri,
    include,
    args: ["--state-db", stateDb, ...args],
  });
  const finalize = async (): Promise<void> => {
    const { status, out, err } = await ferry([
      ...["finalize", "--source", source.uri, "--target", target.uri, "--state-db", stateDb],
    ]);
    assert.equal(status, 0, out + err);
  };
  return { here, there, options, finalize, [Symbol.asyncDispose]: () => stack.disposeAsync() };
};

const arrives = (there: MongoClient, db: string, coll: string, filter: Document): Promise<void> =>
  waitFor(
    async () =>
      (await there.db(db).collection(coll).findOne(filter)) === null ? { seen: "not there" } : { done: undefined },
    { what: `${JSON.stringify(filter)} in ${db}.${coll}`, clock: systemClock, timeoutMs: 30_000, everyMs: 50 },
  );

test("nothing of the scope is there yet: it is followed; a collection born later that cannot be carried ends the run as one of the start does", async () => {
  await using both = await sides("ferry_empty");
  await both.here.db("empty_side").collection("items").insertOne({ n: 1 });
  for (const [include, args] of [
    [["empty.*"], []],
    // Beside one that is there a plain name may come later; alone it must be confirmed.
    [["empty_side.items", "empty.orders"], []],
    [["empty.orders"], ["--allow-empty"]],
  ] as const) {
    const options = both.options(include, "--replace-target", ...args);
    {
      await using run = await startDirect(options);
      await run.says(/followed as soon as it is created/);
      await run.says("copy finished");
      await both.here.db("empty").collection("orders").insertOne({ n: 1 });
      await arrives(both.there, "empty", "orders", { n: 1 });
      await directConverged(both.here, both.there, "empty.orders");
      run.kill("SIGTERM");
      assert.equal((await run.exited).signal, "SIGTERM", run.logTail(20));
    }
    await Promise.all([both.here.db("empty").dropDatabase(), both.there.db("empty").dropDatabase()]);
  }

  await both.there.db("empty").collection("taken").insertOne({ own: 1 });
  await using run = await startDirect(both.options(["empty.*"], "--replace-target"));
  await run.says("copy finished");
  await both.here.db("empty").collection("taken").insertOne({ n: 1 });
  const { code } = await run.exited;
  assert.equal(code, 76, run.logTail(20));
  assert.match(run.log(), /FERRY_TARGET_NOT_EMPTY/);
});

test("--replace-target forgets every former position, and may carry something else", async () => {
  await using both = await sides("ferry_replaced");
  for (const coll of ["orders", "gone"]) await both.here.db("former").collection(coll).insertOne({ n: 1 });
  await both.here.db("other").collection("x").insertOne({ n: 1 });
  {
    await using run = await startDirect(both.options(["former.*"]));
    await run.says("copy finished");
    await both.finalize();
    assert.equal((await run.exited).code, 0);
  }
  // Gone on both sides, and back: nothing of the first run may be remembered of it.
  await Promise.all([both.here, both.there].map((side) => side.db("former").collection("gone").drop()));
  {
    await using run = await startDirect(both.options(["former.*"], "--replace-target"));
    await run.says("copy finished");
    await both.here.db("former").collection("gone").insertOne({ n: 2 });
    await directConverged(both.here, both.there, "former.gone");
    await both.finalize();
    assert.equal((await run.exited).code, 0, run.logTail(20));
  }
  const before = await both.there.db("former").collection("orders").find().toArray();
  {
    // Killed while the target is emptied: it resumes with the new scope, with or without the flag.
    const options = both.options(["other.*"], "--replace-target");
    await using killed = await startDirect({ ...options, env: { FERRY_FAULT: "structure-noted" } });
    await killed.exited;
  }
  await using run = await startDirect(both.options(["other.*"]));
  await directConverged(both.here, both.there, "other.x");
  assert.deepEqual(await both.there.db("former").collection("orders").find().toArray(), before, run.logTail(5));
  const routes = await both.there.db("ferry_replaced").collection("partitions").distinct("route");
  assert.deepEqual(routes, ["other.x"]);
  // What the former scope has now is nothing that this run finishes.
  await both.here.db("former").collection("unasked").createIndex({ n: 1 });
  await both.finalize();
  assert.equal((await run.exited).code, 0, run.logTail(20));
  assert.deepEqual(await both.there.db("former").listCollections({ name: "unasked" }).toArray(), []);
});
