import { FAULT_POINTS, type FaultPoint } from "#base/flow/fault.ts";
import { between, oneOf, type Random, seeded } from "#tools/workload/people.ts";

/** While documents are copied; while changes are followed; when it is stopped; when deferred constraints are restored. */
export type Phase = "copy" | "stream" | "stop" | "finalize";

/** Which process is killed, and the how-manieth time that it comes to a point. */
export type Kill = Readonly<{ phase: Phase; who: "run" | "capture" | "worker"; point: FaultPoint; nth: number }>;

export type Plan = Readonly<{
  seed: number;
  topology: "direct" | "kafka";
  /** Is the change stream spooled while documents are copied? */
  spools: boolean;
  kills: readonly Kill[];
}>;

type Menu = Readonly<Record<Phase, readonly FaultPoint[]>>;

const LANES: readonly FaultPoint[] = ["after-read", "mid-batch", "before-commit", "after-commit", "mid-claim"];
const CHECKPOINTS: readonly FaultPoint[] = ["before-checkpoint", "after-checkpoint"];
const RANGES: readonly FaultPoint[] = ["mid-plan", "mid-range", "after-range"];
const PRODUCE: readonly FaultPoint[] = ["before-produce", "after-produce"];
/** Between the copy's start and the stream's first steps: passed before the first kill that is made in the stream. */
const SPOOL: readonly FaultPoint[] = ["after-spool-frame", "before-spool-delete"];
const BUILD: readonly FaultPoint[] = ["structure-noted", "structure-built"];

/** Where each process comes by in each phase. */
const RUN: Menu = {
  copy: [...BUILD, ...RANGES, ...CHECKPOINTS, ...LANES],
  stream: [
    ...["after-events", "mid-bulk", "in-barrier", "after-barrier", "mid-drop", "mid-rename"],
    ...[...CHECKPOINTS, ...LANES, ...BUILD],
  ] as readonly FaultPoint[],
  stop: ["before-release"],
  finalize: ["drained", "mid-capped", "structure-restored", "structure-prepared", "before-finalized"],
};
const CAPTURE: Menu = {
  copy: [...RANGES, ...CHECKPOINTS, ...PRODUCE],
  stream: ["after-events", ...CHECKPOINTS, ...PRODUCE],
  stop: [],
  finalize: [],
};
const WORKER: Menu = { copy: [], stream: [...LANES, "mid-bulk"], stop: ["before-release"], finalize: [] };

/** A point that is passed seldom is killed at early; the others at the first few times, as the seed says. */
const TIMES: Partial<Readonly<Record<FaultPoint, number>>> = {
  "after-read": 6,
  "mid-batch": 9,
  "mid-bulk": 3,
  "before-commit": 9,
  "after-commit": 9,
  "mid-claim": 3,
  "after-events": 5,
  "after-spool-frame": 3,
  "mid-range": 2,
  "after-range": 4,
  "before-produce": 4,
  "after-produce": 4,
  "before-checkpoint": 3,
  "after-checkpoint": 3,
  "structure-prepared": 2,
  "structure-restored": 4,
  "structure-built": 2,
  "structure-noted": 2,
};

const drawn = (
  random: Random,
  who: Kill["who"],
  menu: Menu,
  { phase, count, lead }: Readonly<{ phase: Phase; count: number; lead: FaultPoint }>,
): Kill[] => {
  const points = menu[phase];
  if (points.length === 0) return [];
  return Array.from({ length: count }, (_, i) => {
    const point = i === 0 && points.includes(lead) ? lead : oneOf(random, points);
    return { phase, who, point, nth: between(random, 1, TIMES[point] ?? 1) };
  });
};

/** What lies behind a kill of the finalization does not come again. */
const asPassed = (a: Kill, b: Kill): number => RUN.finalize.indexOf(a.point) - RUN.finalize.indexOf(b.point);

/**
 * Which process is killed where, for a seed. Any as many seeds in a row as there are points lead through all of them; what
 * else is drawn with the leading one is random.
 */
export const planOf = (seed: number): Plan => {
  const random = seeded(seed);
  const lead = FAULT_POINTS[seed % FAULT_POINTS.length] as FaultPoint;
  const some = (low: number, high: number): number => between(random, low, high);
  if (PRODUCE.includes(lead) || (random() < 0.1 && WORKER.stream.includes(lead))) {
    const kills = [
      ...drawn(random, "capture", CAPTURE, { phase: "copy", count: some(1, 2), lead }),
      ...drawn(random, "capture", CAPTURE, { phase: "stream", count: some(1, 2), lead }),
      ...drawn(random, "worker", WORKER, { phase: "stream", count: some(1, 2), lead }),
      ...drawn(random, "worker", WORKER, { phase: "stop", count: some(0, 1), lead }),
    ];
    return { seed, topology: "kafka", spools: false, kills };
  }
  const spools = SPOOL.includes(lead) || random() < 0.2;
  const menu: Menu = spools ? { ...RUN, copy: [...RUN.copy, ...SPOOL] } : RUN;
  const kills = [
    ...drawn(random, "run", menu, { phase: "copy", count: some(1, 2), lead }),
    ...drawn(random, "run", menu, { phase: "stop", count: lead === "before-release" ? 1 : some(0, 1), lead }),
    ...drawn(random, "run", menu, { phase: "stream", count: some(1, 3), lead }),
    ...drawn(random, "run", menu, { phase: "finalize", count: some(1, 2), lead }).sort(asPassed),
  ];
  return { seed, topology: "direct", spools, kills };
};
