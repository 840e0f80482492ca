import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Bench } from "./lib/bench.ts";
import { drop, ferryRun, mongodVersion, type Pair, peakRssMb, type Running, timeCopy } from "./lib/pair.ts";
import { type Peer, parsePeer, withPeer } from "./lib/peers.ts";
import { median, type Row, report, round } from "./lib/report.ts";
import { DB, load, user } from "./lib/topics.ts";

/** What is copied: documents of each kind, and how the collection is called. */
const KINDS = { small: 1_000_000, "4k": 50_000 } as const;
type Kind = keyof typeof KINDS;

/** A document of 4 KiB. */
const large = (i: number): { _id: number; text: string } => ({ ...user(i), text: "0123456789abcdef".repeat(249) });

const LIMIT_MS = 300_000;

type Outcome = Readonly<{ perSecond: number; rssMb: number | undefined }>;

/** An empty collection, on a target that has nothing left to do for the contestant before. */
const empty = async (pair: Pair, kind: Kind): Promise<void> => {
  await drop(pair, kind);
  await pair.there.db(DB).createCollection(kind);
  await pair.there.db("admin").command({ fsync: 1 });
};

const runCeiling = async (pair: Pair, kind: Kind): Promise<Outcome> => {
  const script = fileURLToPath(new URL("./lib/rawCopy.ts", import.meta.url));
  const child = spawn(process.execPath, [script, pair.source.uri, pair.target.uri, kind], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let out = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`the ceiling run ended with ${code}`);
  return { perSecond: (JSON.parse(out) as { perSecond: number }).perSecond, rssMb: undefined };
};

let runs = 0;

const timed = async (pair: Pair, kind: Kind, count: number, start: () => Running): Promise<Outcome> => {
  await using run = start();
  const perSecond = await timeCopy(pair.there, kind, count, LIMIT_MS);
  return { perSecond, rssMb: peakRssMb(run.child) };
};

const runFerry = async (pair: Pair, kind: Kind, count: number): Promise<Outcome> => {
  const stateDb = `ferry_bench_direct_${runs++}`;
  const outcome = await timed(pair, kind, count, () => ferryRun(pair, kind, stateDb));
  await pair.there.db(stateDb).dropDatabase();
  return outcome;
};

const runPeer = (pair: Pair, kind: Kind, count: number, peer: Peer): Promise<Outcome> =>
  withPeer(peer, pair, kind, async ({ child }) => {
    const perSecond = await timeCopy(pair.there, kind, count, LIMIT_MS);
    return { perSecond, rssMb: peakRssMb(child) };
  });

/**
 * `npm run bench -- direct [--rounds 3] [--scale 1] [--peer NAME=PATH]...`: a copy by `ferry run`, beside
 * prepared raw batches, in turn, round by round; medians.
 */
export const benchDirect = async (bench: Bench): Promise<void> => {
  const count = (kind: Kind): number => bench.sized(KINDS[kind]);
  const peers = (bench.flags["peer"] ?? "")
    .split("\n")
    .filter((text) => text !== "")
    .map(parsePeer);
  await using pair = await bench.pair();
  await load(pair.here, "small", count("small"));
  await load(pair.here, "4k", count("4k"), large);
  const contestants: Readonly<Record<string, (kind: Kind) => Promise<Outcome>>> = {
    "raw ceiling": (kind) => runCeiling(pair, kind),
    "ferry run": (kind) => runFerry(pair, kind, count(kind)),
    ...Object.fromEntries(peers.map((peer) => [peer.name, (kind: Kind) => runPeer(pair, kind, count(kind), peer)])),
  };
  const outcomes = new Map<string, Outcome[]>();
  for (let turn = 1; turn <= bench.rounds; turn++)
    for (const kind of Object.keys(KINDS) as Kind[])
      for (const [name, run] of Object.entries(contestants)) {
        await empty(pair, kind);
        const outcome = await run(kind);
        console.log(
          `round ${turn}  ${kind.padEnd(6)} ${name.padEnd(12)} ${Math.round(outcome.perSecond)}/s  ${outcome.rssMb ?? ""}`,
        );
        const key = `${kind}:${name}`;
        outcomes.set(key, [...(outcomes.get(key) ?? []), outcome]);
      }
  const rate = (kind: Kind, name: string): number =>
    median((outcomes.get(`${kind}:${name}`) ?? []).map(({ perSecond }) => perSecond));
  const rss = (name: string): number =>
    Math.max(
      0,
      ...[...outcomes]
        .filter(([key]) => key.endsWith(`:${name}`))
        .flatMap(([, all]) => all.map(({ rssMb }) => rssMb ?? 0)),
    );
  const rows: Row[] = Object.keys(contestants).map((name) => ({
    contestant: name,
    "small/s": Math.round(rate("small", name)),
    "4 KiB/s": Math.round(rate("4k", name)),
    "peak RSS MB": rss(name) || null,
  }));
  const ratios: Record<string, number> = {
    "small.vsCeiling": round(rate("small", "ferry run") / rate("small", "raw ceiling")),
    "4k.vsCeiling": round(rate("4k", "ferry run") / rate("4k", "raw ceiling")),
    rssMb: rss("ferry run"),
  };
  for (const { name } of peers) {
    ratios[`small.vs${name}`] = round(rate("small", "ferry run") / rate("small", name));
    ratios[`4k.vs${name}`] = round(rate("4k", "ferry run") / rate("4k", name));
  }
  const versions = { mongod: await mongodVersion(pair), documents: `${count("small")} small, ${count("4k")} of 4 KiB` };
  report({ name: "direct", rows, ratios, versions }, bench.full);
};
