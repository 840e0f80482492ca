import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { plainRoute, type Route } from "#base/config/routes.ts";
import type { Bench } from "./lib/bench.ts";
import { measureFollow } from "./lib/followLag.ts";
import { drop, mongodVersion, type Pair } from "./lib/pair.ts";
import { parsePeer, timePeer } from "./lib/peers.ts";
import { median, type Row, report, round } from "./lib/report.ts";
import { DB, load, user } from "./lib/topics.ts";

const KINDS = { small: 1_000_000, "4k": 100_000 } as const;
type Kind = keyof typeof KINDS;

const filtered = (kind: Kind): string => `${kind}-filtered`;

/** What a source's document is, and what the route's filter leaves of it. */
const large = (i: number): { _id: number } => ({ ...user(i), text: "0123456789abcdef".repeat(249) }) as { _id: number };
const documents: Readonly<Record<Kind, (i: number) => { _id: number }>> = { small: user, "4k": large };
const withoutEmail =
  (kind: Kind) =>
  (i: number): { _id: number } => {
    const { email: _, ...rest } = documents[kind](i) as ReturnType<typeof user>;
    return rest;
  };

const plain = (kind: Kind): Route => plainRoute(`${DB}.${kind}`);
const filter = (kind: Kind): Route => ({
  ...plain(kind),
  name: filtered(kind),
  to: { mongodb: `${DB}.${filtered(kind)}` },
  fields: { deny: ["email"] },
});

type Outcome = Readonly<{ documents: number; perSecond: number; wrong: number; rssMb: number }>;

/** Writes a second to the source while verification follows. */
const FOLLOWED = 11_000;

const STATE_DB = "ferry_bench_verify";

const pass = async (pair: Pair, mode: "raw" | "ferry", route: Route): Promise<Outcome> => {
  const script = fileURLToPath(new URL("./lib/verifyPass.ts", import.meta.url));
  const args = [script, pair.source.uri, pair.target.uri, mode, STATE_DB, JSON.stringify(route)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`${mode} ${route.name} ended with ${code}`);
  return JSON.parse(out) as Outcome;
};

const fill = async (pair: Pair, kind: Kind, count: number): Promise<void> => {
  await Promise.all([
    pair.here
      .db(DB)
      .dropCollection(kind)
      .catch(() => undefined),
    drop(pair, kind),
    drop(pair, filtered(kind)),
  ]);
  await load(pair.here, kind, count, documents[kind]);
  await load(pair.there, kind, count, documents[kind]);
  await load(pair.there, filtered(kind), count, withoutEmail(kind));
};

/** One bit of one document; the verification must find it and nothing else. */
const flipOneBit = async (pair: Pair, kind: Kind, count: number): Promise<void> => {
  const _id = Math.floor(count * 0.7) as never;
  const collection = pair.there.db(DB).collection(kind);
  const { firstname = "" } = (await collection.findOne({ _id })) as { firstname?: string };
  const flipped = String.fromCharCode(firstname.charCodeAt(0) ^ 1) + firstname.slice(1);
  await collection.updateOne({ _id }, { $set: { firstname: flipped } });
};

/**
 * `npm run bench -- verify [--rounds 3] [--scale 1] [--peer mv=PATH]`: two equal collections are verified, and through a filter,
 * beside a bare read of both sides; then one bit is flipped.
 */
export const benchVerify = async (bench: Bench): Promise<void> => {
  const count = (kind: Kind): number => bench.sized(KINDS[kind]);
  const kinds = Object.keys(KINDS) as Kind[];
  const peers = (bench.flags["peer"] ?? "")
    .split("\n")
    .filter((text) => text !== "")
    .map(parsePeer);
  await using pair = await bench.pair();
  for (const kind of kinds) await fill(pair, kind, count(kind));
  const contestants: Readonly<Record<string, (kind: Kind) => Promise<Outcome>>> = {
    "raw read": (kind) => pass(pair, "raw", plain(kind)),
    "ferry verify": (kind) => pass(pair, "ferry", plain(kind)),
    "raw read, filtered": (kind) => pass(pair, "raw", filter(kind)),
    "ferry verify, filtered": (kind) => pass(pair, "ferry", filter(kind)),
    ...Object.fromEntries(peers.map((peer) => [peer.name, (kind: Kind) => timePeer(peer, pair, kind, count(kind))])),
  };
  const outcomes = new Map<string, Outcome[]>();
  for (let turn = 1; turn <= bench.rounds; turn++)
    for (const kind of kinds)
      for (const [name, run] of Object.entries(contestants)) {
        const outcome = await run(kind);
        if (outcome.documents !== count(kind) || outcome.wrong !== 0)
          throw new Error(`${name}: ${outcome.documents} documents of ${count(kind)}, ${outcome.wrong} wrong`);
        console.log(
          `round ${turn}  ${kind.padEnd(6)} ${name.padEnd(24)} ${Math.round(outcome.perSecond)}/s  ${outcome.rssMb}`,
        );
        const key = `${kind}:${name}`;
        outcomes.set(key, [...(outcomes.get(key) ?? []), outcome]);
      }
  for (const kind of kinds) await flipOneBit(pair, kind, count(kind));
  const found = await Promise.all(kinds.map(async (kind) => (await pass(pair, "ferry", plain(kind))).wrong));
  if (found.some((wrong) => wrong !== 1)) throw new Error(`one bit was flipped in each, and ${found} documents found`);
  const follow = await measureFollow(pair, bench.sized, FOLLOWED);
  if (follow.wrong !== 0) throw new Error(`${follow.wrong} documents are wrong under load`);
  const all = (name: string): Outcome[] => kinds.flatMap((kind) => outcomes.get(`${kind}:${name}`) ?? []);
  const rate = (kind: Kind, name: string): number =>
    median((outcomes.get(`${kind}:${name}`) ?? []).map(({ perSecond }) => perSecond));
  const rss = (name: string): number => Math.max(...all(name).map(({ rssMb }) => rssMb));
  const rows: Row[] = Object.keys(contestants).map((name) => ({
    contestant: name,
    "small/s": Math.round(rate("small", name)),
    "4 KiB/s": Math.round(rate("4k", name)),
    "peak RSS MB": rss(name),
  }));
  rows.push({
    contestant: `--follow, ${Math.round(follow.writesPerSecond)} writes/s: verified p50 ${follow.p50} s ago, p95 ${follow.p95} s`,
    "small/s": null,
    "4 KiB/s": null,
    "peak RSS MB": follow.rssMb,
  });
  const versus = (kind: Kind, suffix: string): number =>
    round(rate(kind, `ferry verify${suffix}`) / rate(kind, `raw read${suffix}`));
  const ratios: Record<string, number> = {
    vsRawRead: versus("small", ""),
    filteredVsRawRead: versus("small", ", filtered"),
    "4k.vsRawRead": versus("4k", ""),
    "4k.filteredVsRawRead": versus("4k", ", filtered"),
    rssMb: Math.max(rss("ferry verify"), rss("ferry verify, filtered")),
    followWritesPerSecond: Math.round(follow.writesPerSecond),
    followAgeP50S: follow.p50,
    followAgeP95S: follow.p95,
    followRssMb: follow.rssMb,
  };
  for (const { name } of peers) ratios[`vs${name}`] = round(rate("small", "ferry verify") / rate("small", name));
  const versions = { mongod: await mongodVersion(pair), documents: `${count("small")} small, ${count("4k")} of 4 KiB` };
  report({ name: "verify", rows, ratios, versions }, bench.full);
};
