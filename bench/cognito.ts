import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MongoClient } from "mongodb";
import type { Bench } from "./lib/bench.ts";
import { runWorkers } from "./lib/contestants.ts";
import { MAIN } from "./lib/ferryCommand.ts";
import { pause, type Running, running } from "./lib/pair.ts";
import { PoolServer } from "./lib/poolServer.ts";
import { median, type Row, report, round } from "./lib/report.ts";
import { type BenchStack, versionsOf } from "./lib/stack.ts";
import { DB, load, makeTopics, sizesOf } from "./lib/topics.ts";

const USERS = 10_000;
const UNMAPPED = 100_000;
const COLL = "people";
/** Users that are changed last: enough of them that every lane has some. */
const LAST = 64;
const LIMIT_MS = 600_000;
const LOOK_MS = 20;
/** Users a second: 10,000 of them in 25 seconds. */
const RATE = 400;

/** Calls of a pool's server, counted until there are as many as are awaited. */
const calls = async (server: PoolServer, count: number): Promise<void> => {
  const deadline = Date.now() + LIMIT_MS;
  while (server.calls.count < count) {
    if (Date.now() > deadline) throw new Error(`${server.calls.count} of ${count} calls after ${LIMIT_MS} ms`);
    await pause(LOOK_MS);
  }
};

/** Routes of one collection: to the target alone, or to the pool as well. */
const configOf = (folder: string, server: PoolServer, coll: string, rate: number | undefined): string => {
  const file = join(folder, `${coll}-${rate === undefined ? "alone" : "pool"}.yaml`);
  const pool = `  - name: pool
    from: ${DB}.${coll}
    to:
      cognito:
        userPoolId: ${server.pool}
        region: local
        endpoint: ${server.endpoint}
        username: email
        attributes: { email: email, given_name: firstname, family_name: lastname }
        quotas: { UserCreation: ${rate}, UserUpdate: ${rate} }
`;
  writeFileSync(file, `routes:\n  - from: ${DB}.${coll}\n${rate === undefined ? "" : pool}`);
  return file;
};

const startRun = ({ source, target }: BenchStack, config: string, stateDb: string): Running =>
  running(process.execPath, [
    ...[MAIN, "run", "--source", source.uri, "--target", target.uri, "--include", `${DB}.${COLL}`],
    ...["--config", config, "--state-db", stateDb, "--log-level", "error"],
  ]);

type Lent = Readonly<{
  bench: Bench;
  stack: BenchStack;
  server: PoolServer;
  folder: string;
  rate: number;
  target: MongoClient;
}>;

type Pooled = Readonly<{ seconds: number; theory: number; unmapped: number; unmappedCalls: number }>;

/** Users are created at the quota; then fields change that the pool does not have. */
const timePool = async ({ bench, stack, server, folder, rate, target }: Lent, turn: number): Promise<Pooled> => {
  const users = bench.sized(USERS);
  const rounds = Math.ceil(bench.sized(UNMAPPED) / users);
  const source = await MongoClient.connect(stack.source.uri);
  const people = source.db(DB).collection<{ _id: number }>(COLL);
  const stateDb = `ferry_bench_cognito_${turn}`;
  try {
    await target
      .db(DB)
      .dropCollection(COLL)
      .catch(() => undefined); // not there yet
    server.reset();
    await using _run = startRun(stack, configOf(folder, server, COLL, rate), stateDb);
    await calls(server, users);
    const { firstMs, lastMs } = server.calls;
    for (let n = 0; n < rounds; n++) await people.updateMany({}, { $inc: { age: 1 } });
    // Changes of one user come in order: when these are there, all others before them are.
    const last = Math.min(LAST, users);
    await people.updateMany({ _id: { $lt: last } }, { $set: { firstname: `turn ${turn}` } });
    await calls(server, users + last);
    const unmappedCalls = server.calls.count - users - last;
    return { seconds: (lastMs - firstMs) / 1000, theory: (users - 1) / rate, unmapped: rounds * users, unmappedCalls };
  } finally {
    await source.close();
    await target.db(stateDb).dropDatabase();
  }
};

/**
 * `npm run bench -- cognito [--rounds 3] [--scale 1] [--rate 400]`: users of a pool at a quota, changes that cost no call, and what
 * the route to MongoDB beside it loses, through Kafka.
 */
export const benchCognito = async (bench: Bench): Promise<void> => {
  const rate = Number(bench.flags["rate"] ?? RATE);
  const sizes = sizesOf(bench);
  await using stack = await bench.stack();
  await using server = await PoolServer.start();
  const folder = mkdtempSync(join(tmpdir(), "ferry-bench-cognito-"));
  const [source, target] = (await Promise.all(
    [stack.source.uri, stack.target.uri].map((uri) => MongoClient.connect(uri)),
  )) as [MongoClient, MongoClient];
  await load(source, COLL, bench.sized(USERS));
  await makeTopics(stack, ["copy"], sizes);
  const lent = { bench, stack, server, folder, rate, target };
  const pools: Pooled[] = [];
  const rates = { alone: [] as number[], beside: [] as number[] };
  for (let turn = 1; turn <= bench.rounds; turn++) {
    const pool = await timePool(lent, turn);
    pools.push(pool);
    for (const who of ["alone", "beside"] as const) {
      const config = configOf(folder, server, "copy", who === "alone" ? undefined : rate);
      rates[who].push((await runWorkers({ stack, target, sizes }, "copy", 1, ["--config", config])).perSecond);
    }
    console.log(
      `round ${turn}  ${round(pool.seconds)} s by the quota ${round(pool.theory)} s, ${pool.unmappedCalls} calls for ${pool.unmapped} changes, ` +
        `MongoDB ${Math.round(rates.alone.at(-1) ?? 0)}/s alone, ${Math.round(rates.beside.at(-1) ?? 0)}/s beside the pool`,
    );
  }
  const versions = await versionsOf(stack);
  await Promise.all([source.close(), target.close()]);
  rmSync(folder, { recursive: true, force: true });
  const rows: Row[] = pools.map(({ seconds, theory, unmapped, unmappedCalls }, i) => ({
    round: i + 1,
    "users/s": round(bench.sized(USERS) / seconds),
    seconds: round(seconds),
    "by the quota": round(theory),
    "unmapped changes": unmapped,
    "calls for them": unmappedCalls,
    "MongoDB/s alone": Math.round(rates.alone[i] ?? 0),
    "MongoDB/s beside": Math.round(rates.beside[i] ?? 0),
  }));
  const ratios = {
    vsQuota: round(median(pools.map(({ seconds, theory }) => seconds / theory)), 3),
    unmappedCalls: Math.max(...pools.map(({ unmappedCalls }) => unmappedCalls)),
    besideMongo: round(median(rates.beside) / median(rates.alone), 3),
  };
  report({ name: "cognito", rows, ratios, versions: { ...versions, rate: `${rate} users/s` } }, bench.full);
};
