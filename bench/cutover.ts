import { MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import type { Bench } from "./lib/bench.ts";
import { carrying, TOPOLOGIES, type Topology } from "./lib/carriers.ts";
import { ferry, ferryEnd, MAIN } from "./lib/ferryCommand.ts";
import { MovingServices } from "./lib/movingServices.ts";
import { pause, running } from "./lib/pair.ts";
import { median, quantile, report, round } from "./lib/report.ts";
import { type BenchStack, versionsOf } from "./lib/stack.ts";

/** On each side. */
const CLIENTS = 100;
/** A client writes once in this time, ms, and reads four times: 200 of them make more than 3,000 operations a second. */
const EVERY_MS = 290;
/** How long services write before, between and after, ms. */
const CALM_MS = 2000;
/** And before anything is asked, ms: no operator switches what was started a second ago, and what has just started compiles itself. */
const WARM_MS = 20_000;

/** As an operator would: asks again until it is as it should be. @throws FERRY_TIMEOUT with what it said last */
const succeeds = (args: readonly string[], what: string): Promise<void> =>
  waitFor(
    async () => {
      const { status, said } = await ferryEnd(args);
      return status === 0 ? { done: undefined } : { seen: said };
    },
    { what, clock: systemClock, timeoutMs: 60_000, everyMs: 500 },
  );

/** Nothing is begun before nothing is missing. */
const ready = (args: readonly string[]): Promise<void> =>
  succeeds([...args, "--ready", "--json"], "nothing to be missing");

/** What is still on its way when it is compared is behind: that is no verdict yet. */
const verified = (args: readonly string[]): Promise<void> => succeeds(args, "all to be compared and equal");

/** Both sides have the same, when what was on its way has arrived. @throws FERRY_TIMEOUT with the last receipt */
const receiptEqual = (args: readonly string[]): Promise<void> =>
  waitFor(
    async () => {
      const receipt = await ferry(["receipt", ...args]);
      return JSON.parse(receipt).equal === true ? { done: undefined } : { seen: receipt };
    },
    { what: "a receipt that both sides are equal", clock: systemClock, timeoutMs: 60_000, everyMs: 200 },
  );

/** What one change of sides was like. */
type Switch = Readonly<{ pauses: readonly number[]; measuredMs: number; parts: Readonly<Record<string, number>> }>;

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
  return { pauses: services.pauses, measuredMs: Number(facts.pause.ms), parts: facts.pause.parts };
};

type Field = Readonly<{ stack: BenchStack; there: MongoClient; here: MongoClient; clients: number; warmMs: number }>;

/** There and back, with services on both sides. */
const roundTrip = async ({ stack, here, there, clients, warmMs }: Field, topology: Topology, name: string) => {
  const uris = { source: stack.source.uri, target: stack.target.uri };
  const sides = ["--source", uris.source, "--target", uris.target, "--state-db", `ferry_${name}`];
  const kafka = topology === "direct" ? [] : ["--kafka", stack.kafka.bootstrap];
  const through = [...kafka, ...(topology === "connector" ? ["--connect", stack.connect.url] : [])];
  const how = ["--fence", "validator", "--max-pause", "20s"];
  const verify = ["verify", ...sides, ...kafka, "--include", `${name}.*`];
  const users = there.db(name).collection("users");
  await here.db(name).createCollection("users");
  await using services = new MovingServices(uris, { db: name, coll: "users" });
  await using others = new MovingServices(uris, { db: `${name}_own`, coll: "carts" });
  others.sendTo("target");
  await using _run = await carrying(topology, stack, name);
  services.start(clients, EVERY_MS);
  others.start(clients, EVERY_MS);
  await waitFor(async () => ((await users.countDocuments()) >= clients ? { done: 1 } : { seen: services.acked }), {
    ...{ what: "services' documents on the target", clock: systemClock, timeoutMs: 60_000 },
  });
  await pause(warmMs);
  const before = [performance.now(), services.operations + others.operations] as const;
  await pause(CALM_MS);
  const done = services.operations + others.operations - before[1];
  const perSecond = (done * 1000) / (performance.now() - before[0]);
  await verified(verify);
  const cutover = ["cutover", ...sides, ...through, ...how];
  await ready(cutover);
  const switching = [...cutover, "--on-release", services.release];
  const rehearsal = JSON.parse(await ferry([...switching, "--rehearse", "--json"]));
  const forth = await switched(services, "target", switching);
  const carryingBack = ["run", "--reverse", ...sides, "--include", `${name}.*`, "--log-level", "error"];
  await using _reverse = running(process.execPath, [MAIN, ...carryingBack]);
  await pause(CALM_MS);
  await verified([...verify, "--reverse"]);
  await services.held(() => receiptEqual([...sides, ...kafka, "--include", `${name}.*`]));
  const back = await switched(services, "source", [
    ...["rollback", ...sides, ...how, "--max-lag", "10s", "--on-release", services.releaseBack],
  ]);
  await pause(CALM_MS / 4);
  const [moved, stayed] = await Promise.all([services.settle("source"), others.settle("target")]);
  const [lost, doubled] = [moved.lost + stayed.lost, moved.doubled + stayed.doubled];
  const expected = { expectedMs: Number(rehearsal.expectedPauseMs), expectedParts: rehearsal.parts };
  return { topology, forth, back, lost, doubled, perSecond, ...expected };
};

type Trip = Awaited<ReturnType<typeof roundTrip>>;

const total = (trips: readonly Trip[], of: (trip: Trip) => number): number =>
  trips.reduce((all, trip) => all + of(trip), 0);

const pausesOf = (trips: readonly Trip[], way: "forth" | "back"): readonly number[] =>
  trips.flatMap((trip) => trip[way].pauses);

/** Of all trips of a topology; `prefix` before each key. */
const ratiosOf = (trips: readonly Trip[], prefix: string): Record<string, number> => {
  const figures = {
    pauseP50Ms: Math.round(quantile(pausesOf(trips, "forth"), 0.5)),
    pauseP95Ms: Math.round(quantile(pausesOf(trips, "forth"), 0.95)),
    "rollback.pauseP50Ms": Math.round(quantile(pausesOf(trips, "back"), 0.5)),
    "rollback.pauseP95Ms": Math.round(quantile(pausesOf(trips, "back"), 0.95)),
    lost: total(trips, ({ lost }) => lost),
    duplicated: total(trips, ({ doubled }) => doubled),
    predicted: round(
      total(trips, ({ expectedMs }) => expectedMs) /
        Math.max(
          1,
          total(trips, ({ forth }) => forth.measuredMs),
        ),
    ),
  };
  return Object.fromEntries(Object.entries(figures).map(([key, value]) => [prefix + key, value]));
};

const partsText = (parts: Readonly<Record<string, number>>): string =>
  Object.entries(parts)
    .map(([name, ms]) => `${name} ${Math.round(ms)}`)
    .join(", ");

const topologiesOf = ({ flags }: Bench): readonly Topology[] =>
  flags["topology"] === undefined
    ? TOPOLOGIES
    : TOPOLOGIES.filter((name) => flags["topology"]?.split(",").includes(name));

/**
 * `npm run bench -- cutover [--rounds 20] [--topology direct,capture,connector] [--scale 1]`: 100 clients write and read on the
 * source and 100 on the target; services are switched over, and back again. The pause is what clients measure, from the last
 * write that one side acknowledged to the first on the other. `predicted`: the rehearsal's pause over the one that ferry measured.
 */
export const benchCutover = async (bench: Bench): Promise<void> => {
  await using stack = await bench.stack();
  const [here, there] = await Promise.all([
    MongoClient.connect(stack.source.uri),
    MongoClient.connect(stack.target.uri),
  ]);
  const clients = bench.sized(CLIENTS);
  const field = { stack, here, there, clients, warmMs: bench.sized(WARM_MS) };
  const topologies = topologiesOf(bench);
  const trips: Trip[] = [];
  try {
    for (let n = 1; n <= bench.rounds; n++)
      for (const topology of topologies) {
        const trip = await roundTrip(field, topology, `cut${process.pid}_${topology}_${n}`);
        trips.push(trip);
        console.log(`round ${n}  ${topology.padEnd(10)} ${JSON.stringify(ratiosOf([trip], ""))}`);
        console.log(`  the pause ${partsText(trip.forth.parts)}; predicted ${partsText(trip.expectedParts)}`);
      }
  } finally {
    await Promise.all([here.close(), there.close()]);
  }
  const rows = topologies.map((topology) => {
    const mine = trips.filter((trip) => trip.topology === topology);
    return {
      topology,
      cutovers: mine.length,
      "operations/s": Math.round(total(mine, ({ perSecond }) => perSecond) / mine.length),
      "predicted ms": Math.round(median(mine.map(({ expectedMs }) => expectedMs))),
      "ferry's ms": Math.round(median(mine.map(({ forth }) => forth.measuredMs))),
      ...ratiosOf(mine, ""),
    };
  });
  const ratios = Object.assign(
    {},
    ...topologies.map((topology) => {
      const mine = trips.filter((trip) => trip.topology === topology);
      return ratiosOf(mine, topology === "direct" ? "" : `${topology}.`);
    }),
  );
  const versions = { ...(await versionsOf(stack)), load: `${clients} clients on each side, fence validator` };
  report({ name: "cutover", rows, ratios, versions }, bench.full && bench.flags["topology"] === undefined);
};
