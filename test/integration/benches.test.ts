import { test } from "node:test";
import { MongoClient } from "mongodb";
import { BENCHES } from "../../bench/benches.ts";
import { benchOf, type Servers } from "../../bench/lib/bench.ts";
import { sharedConnect, sharedKafka, sharedMongo } from "../harness/servers.ts";

/** Of the full load: enough that every path of a bench is gone through. */
const SCALE = "0.001";

/** One of each kind: the others are the same with other numbers or rules. */
const FLAGS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  apply: { only: "ceiling,1 process,1 task" },
  cutover: { topology: "direct" },
  direct: { kinds: "mix" },
  filter: { only: "merge,nested rules" },
};

/** All benches take the same servers, and leave them running. */
const shared = async (): Promise<Servers & AsyncDisposable> => {
  const [source, target, kafka, connect] = await Promise.all([
    sharedMongo("source"),
    sharedMongo("target"),
    sharedKafka(),
    sharedConnect(),
  ]);
  const [here, there] = await Promise.all([MongoClient.connect(source.uri), MongoClient.connect(target.uri)]);
  const lent = { [Symbol.asyncDispose]: async () => undefined };
  return {
    stack: async () => ({ source, target, kafka, connect, ...lent }),
    pair: async () => ({ source, target, here, there, ...lent }),
    [Symbol.asyncDispose]: async () => void (await Promise.all([here.close(), there.close()])),
  };
};

test("every bench runs to its table, at a tiny scale", async (t) => {
  await using servers = await shared();
  for (const [name, bench] of Object.entries(BENCHES))
    await t.test(name, () => bench(benchOf({ rounds: "1", scale: SCALE, ...FLAGS[name] }, servers)));
});
