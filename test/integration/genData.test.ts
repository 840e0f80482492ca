import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "#base/flow/clock.ts";
import { connectMongo } from "#io/mongo/connect.ts";
import { runWorkload } from "#tools/workload/genDataWorkload.ts";
import type { Person } from "#tools/workload/people.ts";
import { ferry } from "../harness/ferry.ts";
import { sharedMongo } from "../harness/servers.ts";

test("gen-data inserts the run book's hundred people, and continues after them", async () => {
  const { uri } = await sharedMongo();
  const first = await ferry(["gen-data", "--source", uri]);
  assert.deepEqual(first, { status: 0, out: "Data inserted successfully!\n", err: "" });
  await ferry(["gen-data", "--source", uri, "--count", "20", "--sex", "--rate", "200"]);
  const client = await connectMongo(uri, { appName: "test" });
  const people = await client.db("test").collection<Person>("users").find().sort({ _id: 1 }).toArray();
  await client.close();
  assert.deepEqual(
    people.map(({ _id }) => _id),
    Array.from({ length: 120 }, (_, i) => i),
  );
  const [ada] = people;
  assert.deepEqual(Object.keys(ada ?? {}), ["_id", "firstname", "lastname", "age", "email"]);
  assert.match(ada?.email ?? "", /^[a-z]+\.[a-z]+0@example\.(com|org|net)$/);
  assert.ok(people.slice(100).some(({ sex }) => sex === "female" || sex === "male"));
});

test("gen-data --workload does the requested number of operations at the requested rate, with named bounds", async () => {
  const { uri } = await sharedMongo();
  const workload = ["gen-data", "--source", uri, "--workload", "mixed", "--ns", "load.cli"];
  const began = performance.now();
  const { out, err } = await ferry([...workload, "--count", "51", "--clients", "4", "--rate", "50/s", "--json"]);
  const { ns, ...counts } = JSON.parse(out) as Record<string, number> & { ns: string };
  assert.equal(ns, "load.cli", err);
  assert.equal(
    Object.values(counts).reduce((a, b) => a + b, 0),
    51,
  );
  assert.ok(performance.now() - began > 1000, "51 operations at 50 a second take a second");
  const refused = [
    [["--rate", "0"], '--rate must be a number above 0, not "0"'],
    [["--count", "1.5"], '--count must be a whole number from 1 to 1000000000, not "1.5"'],
    [["--clients", "x"], '--clients must be a whole number from 1 to 1000, not "x"'],
    [["--duration", "soon"], '--duration must be a number above 0, not "soon"'],
    [["--ns", "users"], '--ns must be a collection such as test.users, not "users"'],
    [["--workload", "heavy"], '--workload must be one of mixed, not "heavy"'],
  ] as const;
  await Promise.all(
    refused.map(async ([flags, sentence]) => {
      const { status, err } = await ferry([...workload, ...flags]);
      assert.deepEqual([status, err.split("\n")[0]], [64, `ferry: FERRY_USAGE: ${sentence}`]);
    }),
  );
});

test("a workload is the same for the same seed, counts truly, and stops at its signal", async () => {
  const { uri } = await sharedMongo();
  const client = await connectMongo(uri, { appName: "test" });
  const run = async (coll: string) => {
    const collection = client.db("load").collection(coll);
    // One client: the order in which several reach a hot document is the server's to decide.
    const options = {
      collection,
      clients: 1,
      seed: 7,
      clock: systemClock,
      operations: 600,
      signal: new AbortController().signal,
    };
    const counts = await runWorkload(options);
    return { counts, documents: await collection.find().sort({ _id: 1 }).toArray() };
  };
  const [first, second] = [await run("a"), await run("b")];
  assert.deepEqual(first.documents, second.documents);
  assert.deepEqual(first.counts, second.counts);
  assert.equal(first.counts.inserted - first.counts.deleted, first.documents.length);
  for (const kind of ["inserted", "updated", "replaced", "deleted"] as const) assert.ok(first.counts[kind] > 20, kind);

  const stop = new AbortController();
  const collection = client.db("load").collection("c");
  const counts = await runWorkload({
    collection,
    clients: 10,
    seed: 1,
    clock: systemClock,
    signal: stop.signal,
    onOperation: (total) => {
      if (total >= 500) stop.abort();
    },
  });
  assert.equal(counts.inserted - counts.deleted, await collection.countDocuments());
  await client.close();
});
