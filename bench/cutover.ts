import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import type { Bench } from "./lib/bench.ts";
import { MovingServices } from "./lib/movingServices.ts";
import { mongodVersion, type Pair, pause, running } from "./lib/pair.ts";
import { quantile, report, round } from "./lib/report.ts";

/** On each side. */
const CLIENTS = 100;
/** Between two operations of one client, ms: 200 of them make about 4,000 operations a second. */
const EVERY_MS = 45;
/** How long services write before, between and after, ms. */
const CALM_MS = 2000;

const MAIN = fileURLToPath(new URL("../src/surface/cli/main.ts", import.meta.url));

/** `ferry ARGS` to its end. */
const end = async (args: readonly string[]): Promise<Readonly<{ status: number; said: string }>> => {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  const [status] = await once(child, "close");
  return { status, said };
};

/** The same. @throws with what it said where it fails */
const ferry = async (args: readonly string[]): Promise<string> => {
  const { status, said } = await end(args);
  if (status !== 0) throw new Error(`ferry ${args[0]} ended with ${status}: ${said}`);
  return said;
};

/** As an operator would: it is not begun before nothing is missing. */
const ready = (args: readonly string[]): Promise<void> =>
  waitFor(
    async () => {
      const { status, said } = await end([...args, "--ready", "--json"]);
      return status === 0 ? { done: undefined } : { seen: said };
    },
    { what: "nothing to be missing", clock: systemClock, timeoutMs: 60_000, everyMs: 500 },
  );

/** What one change of sides was like. */
type Switch = Readonly<{ pauses: readonly number[]; measuredMs: number }>;

const switched = async (
  services: MovingServices,
  side: "source" | "target",
  args: readonly string[],
): Promise<Switch> => {
  await ready(args);
  const facts = JSON.parse(await ferry([...args, "--json"]));
  await waitFor(async () => (services.areOn(side) ? { done: undefined } : { seen: services.acked }), {
    ...{ what: `services on the ${side}`, clock: systemClock, timeoutMs: 60_000, everyMs: 10 },
  });
  return { pauses: services.pauses, measuredMs: Number(facts.pause.ms) };
};

/** There and back, with services on both sides. */
const roundTrip = async (pair: Pair, clients: number, name: string) => {
  const uris = { source: pair.source.uri, target: pair.target.uri };
  const flags = ["--source", uris.source, "--target", uris.target, "--state-db", `ferry_${name}`];
  const accept = ["--accept", "FERRY_CUTOVER_UNVERIFIED", "--fence", "validator", "--max-pause", "20s"];
  await pair.here.db(name).createCollection("users");
  await using services = new MovingServices(uris, { db: name, coll: "users" });
  await using others = new MovingServices(uris, { db: `${name}_own`, coll: "carts" });
  others.sendTo("target");
  const carrying = ["--include", `${name}.*`, "--log-level", "error"];
  await using _run = running(process.execPath, [MAIN, "run", ...flags, ...carrying]);
  await pause(CALM_MS);
  services.start(clients, EVERY_MS);
  others.start(clients, EVERY_MS);
  const users = pair.there.db(name).collection("users");
  await waitFor(async () => ((await users.countDocuments()) >= clients ? { done: 1 } : { seen: services.acked }), {
    ...{ what: "services' documents on the target", clock: systemClock, timeoutMs: 60_000 },
  });
  await pause(CALM_MS);
  await ready(["cutover", ...flags, ...accept]);
  const rehearsal = JSON.parse(await ferry(["cutover", ...flags, ...accept, "--rehearse", "--json"]));
  const before = [performance.now(), services.acked + others.acked] as const;
  await pause(CALM_MS);
  const perSecond = ((services.acked + others.acked - before[1]) * 1000) / (performance.now() - before[0]);
  const there = await switched(services, "target", ["cutover", ...flags, ...accept, "--on-release", services.release]);
  await using _reverse = running(process.execPath, [MAIN, "run", "--reverse", ...flags, ...carrying]);
  await pause(CALM_MS * 2);
  const back = await switched(services, "source", [
    ...["rollback", ...flags, ...accept, "--max-lag", "10s", "--on-release", services.releaseBack],
  ]);
  await pause(CALM_MS / 4);
  const { lost, doubled } = await services.settle("source");
  return { there, back, lost, doubled, perSecond, expectedMs: Number(rehearsal.expectedPauseMs) };
};

/**
 * `npm run bench -- cutover [--rounds 20] [--scale 1]`: 100 clients write and read on the source and 100 on the target; services
 * are switched over, and back again. The pause is what clients measure, from the last write that one side acknowledged to the first
 * on the other.
 */
export const benchCutover = async (bench: Bench): Promise<void> => {
  await using pair = await bench.pair();
  const clients = bench.sized(CLIENTS);
  const trips: Awaited<ReturnType<typeof roundTrip>>[] = [];
  for (let n = 1; n <= bench.rounds; n++) trips.push(await roundTrip(pair, clients, `cut${process.pid}_${n}`));
  const sum = (of: (trip: (typeof trips)[number]) => number): number => trips.reduce((all, trip) => all + of(trip), 0);
  const pausesOf = (way: "there" | "back"): readonly number[] => trips.flatMap((trip) => trip[way].pauses);
  const rows = trips.map(({ there, back, perSecond, expectedMs, lost, doubled }, n) => ({
    "": `round ${n + 1}`,
    "operations/s": Math.round(perSecond),
    "predicted ms": Math.round(expectedMs),
    "measured by ferry ms": Math.round(there.measuredMs),
    "clients p50 ms": Math.round(quantile(there.pauses, 0.5)),
    "clients p95 ms": Math.round(quantile(there.pauses, 0.95)),
    "back p50 ms": Math.round(quantile(back.pauses, 0.5)),
    "back p95 ms": Math.round(quantile(back.pauses, 0.95)),
    lost,
    doubled,
  }));
  const ratios = {
    pauseP50Ms: Math.round(quantile(pausesOf("there"), 0.5)),
    pauseP95Ms: Math.round(quantile(pausesOf("there"), 0.95)),
    "rollback.pauseP50Ms": Math.round(quantile(pausesOf("back"), 0.5)),
    "rollback.pauseP95Ms": Math.round(quantile(pausesOf("back"), 0.95)),
    lost: sum(({ lost }) => lost),
    duplicated: sum(({ doubled }) => doubled),
    predicted: round(
      sum(({ expectedMs }) => expectedMs) /
        Math.max(
          1,
          sum(({ there }) => there.measuredMs),
        ),
    ),
  };
  const versions = { mongod: await mongodVersion(pair), load: `${clients} clients on each side, fence validator` };
  report({ name: "cutover", rows, ratios, versions }, bench.full);
};
