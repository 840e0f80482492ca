import type { Bench } from "./lib/bench.ts";
import { collectionsOf, isKind, KINDS, type Kind, loadKind } from "./lib/copied.ts";
import { Copies, type Outcome } from "./lib/copies.ts";
import { mongodVersion, type Pair } from "./lib/pair.ts";
import { PeerError, parsePeer } from "./lib/peers.ts";
import { median, type Row, report, round } from "./lib/report.ts";

/** Where `--rounds` is not given. */
const ROUNDS = 5;

const FERRY = "ferry run";
const CEILING = "raw ceiling";

/** What was seen of every contestant with every kind. */
class Outcomes {
  readonly #all = new Map<string, Outcome[]>();

  add(kind: Kind, name: string, outcome: Outcome): void {
    const key = `${kind}:${name}`;
    this.#all.set(key, [...(this.#all.get(key) ?? []), outcome]);
  }

  of(kind: Kind, name: string, measure: keyof Outcome): number {
    return median((this.#all.get(`${kind}:${name}`) ?? []).map((one) => one[measure] ?? Number.NaN));
  }

  peakMb(name: string): number {
    const own = [...this.#all].filter(([key]) => key.endsWith(`:${name}`));
    return Math.max(0, ...own.flatMap(([, all]) => all.map(({ rssMb }) => rssMb)));
  }
}

const row = (outcomes: Outcomes, kind: Kind, name: string): Row => {
  const of = (measure: keyof Outcome, digits = 0): number => round(outcomes.of(kind, name, measure), digits);
  return {
    copied: kind,
    contestant: name,
    "command → last s": of("commandS", 2),
    "docs/s": of("perSecond"),
    "RSS MB": of("rssMb"),
    "CPU s": of("cpuS", 1),
    "source RSS MB": of("sourceMb"),
    "source CPU s": of("sourceCpuS", 1),
    "target RSS MB": of("targetMb"),
    "target CPU s": of("targetCpuS", 1),
  };
};

const ratiosOf = (outcomes: Outcomes, kinds: readonly Kind[], peers: readonly string[]): Record<string, number> => {
  const ratios: Record<string, number> = {};
  const over = (kind: Kind, measure: "perSecond" | "commandS", name: string): number =>
    measure === "perSecond"
      ? round(outcomes.of(kind, FERRY, measure) / outcomes.of(kind, name, measure))
      : round(outcomes.of(kind, name, measure) / outcomes.of(kind, FERRY, measure));
  for (const kind of kinds) {
    ratios[`${kind}.vsCeiling`] = over(kind, "perSecond", CEILING);
    ratios[`${kind}.commandVsCeiling`] = over(kind, "commandS", CEILING);
    for (const peer of peers) {
      ratios[`${kind}.vs${peer}`] = over(kind, "perSecond", peer);
      ratios[`${kind}.commandVs.${peer}`] = over(kind, "commandS", peer);
    }
  }
  return { ...ratios, rssMb: outcomes.peakMb(FERRY) };
};

const kindsOf = (text: string | undefined): Kind[] =>
  (text?.split(",") ?? Object.keys(KINDS)).map((name) => {
    if (isKind(name)) return name;
    throw new PeerError(`--kinds ${name}: there are ${Object.keys(KINDS).join(", ")}`);
  });

/** Who comes first changes with the round: one finds the machine as another left it. */
const rotated = <T>(all: readonly T[], by: number): T[] => [
  ...all.slice(by % all.length),
  ...all.slice(0, by % all.length),
];

const contestantsOf = (
  copies: Copies,
  flag: string | undefined,
): readonly (readonly [string, (kind: Kind) => Promise<Outcome>])[] => [
  [CEILING, (kind) => copies.ceiling(kind)],
  [FERRY, (kind) => copies.ferry(kind)],
  ...(flag ?? "")
    .split("\n")
    .filter((text) => text !== "")
    .map(parsePeer)
    .map((peer) => [peer.name, (kind: Kind) => copies.peer(kind, peer)] as const),
];

const documentsOf = (bench: Bench, kinds: readonly Kind[]): string =>
  kinds
    .map((kind) => `${collectionsOf(kind).reduce((sum, { full }) => sum + bench.sized(full), 0)} ${kind}`)
    .join(", ");

const loaded = async (bench: Bench, pair: Pair, kinds: readonly Kind[]): Promise<void> => {
  for (const kind of kinds) await loadKind(pair.here, kind, bench.sized);
  await pair.here.db("admin").command({ fsync: 1 });
};

/**
 * `npm run bench -- direct [--rounds 5] [--scale 1] [--kinds small,4k,60k,mix] [--peer NAME=PATH]...`: from the command to the
 * last document, by `ferry run`, by prepared raw batches and by other tools; in turn, round by round; medians.
 */
export const benchDirect = async (bench: Bench): Promise<void> => {
  const kinds = kindsOf(bench.flags["kinds"]);
  const rounds = bench.flags["rounds"] === undefined ? ROUNDS : bench.rounds;
  await using pair = await bench.pair();
  const contestants = contestantsOf(new Copies(pair, bench.sized), bench.flags["peer"]);
  await loaded(bench, pair, kinds);
  const outcomes = new Outcomes();
  for (let turn = 0; turn < rounds; turn++)
    for (const kind of kinds)
      for (const [name, run] of rotated(contestants, turn)) {
        const outcome = await run(kind);
        const { commandS, perSecond, rssMb } = outcome;
        console.log(
          `round ${turn + 1}  ${kind.padEnd(6)} ${name.padEnd(12)} ${commandS.toFixed(2)} s  ${Math.round(perSecond)}/s  ${rssMb} MB`,
        );
        outcomes.add(kind, name, outcome);
      }
  const names = contestants.map(([name]) => name);
  const rows = kinds.flatMap((kind) => names.map((name) => row(outcomes, kind, name)));
  const peers = names.filter((name) => name !== CEILING && name !== FERRY);
  const versions = { mongod: await mongodVersion(pair), documents: documentsOf(bench, kinds) };
  const isWhole = bench.full && kinds.length === Object.keys(KINDS).length;
  report({ name: "direct", rows, ratios: ratiosOf(outcomes, kinds, peers), versions }, isWhole);
};
