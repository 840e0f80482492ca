import fc from "fast-check";
import type { Fault } from "./process.ts";

export type CaptureStep =
  | Readonly<{ do: "put" | "set"; key: number; value: number }>
  | Readonly<{ do: "delete"; key: number }>
  /** An entry of the oplog that is no event. */
  | Readonly<{ do: "note" }>
  | Readonly<{ do: "rest"; ms: number }>
  | Readonly<{ do: "fault"; fault: Fault; after: number }>
  /** Another process starts; it waits until the former one's leases have run out, or they just have. */
  | Readonly<{ do: "start"; takesOver: boolean }>
  | Readonly<{ do: "revive" }>
  /** The process is asked to stop, and saves where it is. */
  | Readonly<{ do: "stop" }>;

export type CaptureSchedule = Readonly<{
  /**
   * - `direct`: the log lies in the process that captures and applies, and ends with it;
   * - `kafka`: the log outlives the processes, and has what is captured once more twice.
   */
  log: "direct" | "kafka";
  readers: number;
  ranges: number;
  spools: boolean;
  spoolBytes: number;
  budgetBytes: number;
  slices: number;
  seed: number;
  /** Documents that are there before. */
  copied: number;
  steps: readonly CaptureStep[];
}>;

export const KEYS = 8;
const key = fc.nat(KEYS - 1);
const value = fc.nat(99);

const step: fc.Arbitrary<CaptureStep> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom("put" as const, "set" as const), key, value }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete" as const), key }) },
  { weight: 1, arbitrary: fc.constant({ do: "note" as const }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("rest" as const), ms: fc.constantFrom(1, 10, 50, 300, 1100, 3500) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("fault" as const),
      fault: fc.constantFrom<Fault[]>("error", "kill", "kill", "freeze"),
      after: fc.oneof(fc.nat(5), fc.nat(20), fc.nat(60)),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("start" as const), takesOver: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constantFrom({ do: "revive" as const }, { do: "stop" as const }) },
);

export const anyCaptureSchedule: fc.Arbitrary<CaptureSchedule> = fc.record({
  log: fc.constantFrom("direct" as const, "direct" as const, "kafka" as const),
  readers: fc.integer({ min: 1, max: 3 }),
  ranges: fc.integer({ min: 1, max: 3 }),
  spools: fc.boolean(),
  spoolBytes: fc.constantFrom(200, 100_000),
  budgetBytes: fc.constantFrom(300, 100_000),
  slices: fc.integer({ min: 1, max: 3 }),
  seed: fc.nat(),
  copied: fc.nat(KEYS),
  steps: fc.array(step, { minLength: 1, maxLength: 40, size: "max" }),
});
