import { type Pair, type Short, startPair } from "./pair.ts";
import { type BenchStack, startStack } from "./stack.ts";

export type Flags = Readonly<Record<string, string>>;

/** Where a bench gets its servers; each is disposed of by the bench that asked. */
export type Servers = Readonly<{
  /** Source, target, Kafka and Connect. */
  stack: () => Promise<BenchStack>;
  /** Source and target alone. */
  pair: (source?: Short, target?: Short) => Promise<Pair>;
}>;

/** What every bench is given: how much of its load, how often, on which servers. */
export type Bench = Servers &
  Readonly<{
    flags: Flags;
    /** `--rounds`, 3 where not given. */
    rounds: number;
    /** A number of the full load, times `--scale`; at least 1. */
    sized: (full: number) => number;
    /** False with `--scale`: a part of the load is for looking, not for the record. */
    full: boolean;
  }>;

const OWN: Servers = { stack: startStack, pair: startPair };

export const benchOf = (flags: Flags, servers: Servers = OWN): Bench => {
  const scale = Number(flags["scale"] ?? 1);
  return {
    ...servers,
    flags,
    rounds: Number(flags["rounds"] ?? 3),
    sized: (full) => Math.max(1, Math.round(full * scale)),
    full: scale === 1,
  };
};
