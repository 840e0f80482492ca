import fc from "fast-check";
import type { Fault } from "./process.ts";
import { anyRoute, type RouteTraits } from "./route.ts";

/** What the source does; a step that its state does not allow is left out. */
export type SourceStep =
  /** `more`: with a field that others do not have; `text`: with values of another type. */
  | Readonly<{ do: "put"; key: number; value: number; bad: boolean; more: boolean; text?: boolean }>
  | Readonly<{
      do: "set";
      key: number;
      field: "a" | "b" | "c";
      value: number;
      kind: "clear" | "text" | "unclear" | "bad";
    }>
  | Readonly<{ do: "delete"; key: number }>
  | Readonly<{ do: "drop" | "poison" | "tombstone" }>;

export type Step =
  | SourceStep
  /** Lets time pass, ms. */
  | Readonly<{ do: "rest"; ms: number }>
  /** Something goes wrong in the process that works, so many steps from now. */
  | Readonly<{ do: "fault"; fault: Fault; after: number }>
  /** Another process takes the partition over, whatever the former one is doing. */
  | Readonly<{ do: "takeover"; slices: number }>
  /** Another process waits until the lease of the one that works has run out. */
  | Readonly<{ do: "standby"; slices: number }>
  /** A process that was frozen goes on where it stood. */
  | Readonly<{ do: "revive" }>
  /** What was written by now arrives, then services move to the target: what the source says later was carried back. */
  | Readonly<{ do: "switch" }>
  /** The process is asked to stop. */
  | Readonly<{ do: "stop" }>
  /** An operator decides on one of the letters. */
  | Readonly<{ do: "decide"; letter: number; state: "replay" | "discard" }>
  /** An operator decides on a field that is new, or may come to be. */
  | Readonly<{ do: "accept"; field: "b" | "c"; verdict: "pass" | "drop" }>
  /** A service of the target writes a field of its own, writes one of the source's, or removes the document. */
  | Readonly<{ do: "foreign"; key: number; what: "own" | "field" | "remove"; value: number }>;

/**
 * Where documents and positions lie:
 * - `transactional`: together, as on a replica set;
 * - `outside`: the target takes no part in the transactions of ferry's own database;
 * - `standalone`: there are no transactions.
 */
export type Mode = "transactional" | "outside" | "standalone";

export type Schedule = Readonly<{
  mode: Mode;
  route: RouteTraits;
  slices: number;
  batchCount: number;
  budgetBytes: number;
  /** Of what happens at random within the run: who goes first, who waits. */
  seed: number;
  /** Documents that are there before; `bad` ones are refused, some have `more` fields. */
  copied: readonly Readonly<{ bad: boolean; more: boolean }>[];
  /** Of these, what is no step of the source happens while the copy runs. */
  duringCopy: readonly Step[];
  steps: readonly Step[];
}>;

export const KEYS = 6;
const key = fc.nat(KEYS - 1);
const value = fc.nat(99);
const slices = fc.integer({ min: 1, max: 3 });

const rarely = fc.nat(9).map((n) => n === 0);

const write: fc.Arbitrary<SourceStep> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant("put" as const), key, value, bad: rarely, more: rarely, text: rarely }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("set" as const),
      key,
      field: fc.constantFrom("a" as const, "b" as const, "c" as const),
      value,
      kind: fc.constantFrom<(SourceStep & { do: "set" })["kind"][]>(
        "clear",
        "clear",
        "clear",
        "text",
        "unclear",
        "bad",
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete" as const), key }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom("drop" as const, "poison" as const, "tombstone" as const) }),
  },
);

const trouble: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("fault" as const),
      fault: fc.constantFrom("error" as const, "conflict" as const, "kill" as const, "freeze" as const),
      after: fc.nat(25),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("takeover" as const), slices }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("standby" as const), slices }) },
  { weight: 2, arbitrary: fc.constant({ do: "revive" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "stop" as const }) },
);

const rest: fc.Arbitrary<Step> = fc.record({
  do: fc.constant("rest" as const),
  ms: fc.constantFrom(1, 5, 20, 100, 1100, 3500),
});

const decision: fc.Arbitrary<Step> = fc.record({
  do: fc.constant("decide" as const),
  letter: fc.nat(5),
  state: fc.constantFrom("replay" as const, "replay" as const, "discard" as const),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: write },
  { weight: 3, arbitrary: rest },
  { weight: 3, arbitrary: trouble },
  { weight: 1, arbitrary: decision },
  { weight: 1, arbitrary: rarely.map((now): Step => (now ? { do: "switch" } : { do: "rest", ms: 5 })) },
);

const accept: fc.Arbitrary<Step> = fc.record({
  do: fc.constant("accept" as const),
  field: fc.constantFrom("b" as const, "c" as const),
  verdict: fc.constantFrom("pass" as const, "pass" as const, "drop" as const),
});

const foreign: fc.Arbitrary<Step> = fc.record({
  do: fc.constant("foreign" as const),
  key,
  what: fc.constantFrom("own" as const, "own" as const, "field" as const, "remove" as const),
  value,
});

/** Steps that mean something for the route: the others are other steps. */
const stepOf = ({ policy, drift }: RouteTraits): fc.Arbitrary<Step> =>
  fc.oneof(
    { weight: 15, arbitrary: step },
    { weight: drift === "none" || drift === "pass" ? 0 : 1, arbitrary: accept },
    { weight: policy === "mirror" ? 0 : 4, arbitrary: foreign },
  );

/** What a row filter looks at keeps its type: whose a document is that lost it to the drift policy, none can say. */
const onRoute =
  ({ filter }: RouteTraits) =>
  (one: Step): Step => {
    if (filter !== "where") return one;
    if (one.do === "put") return { ...one, text: false };
    return one.do === "set" && one.field === "a" && one.kind === "text" ? { ...one, kind: "clear" } : one;
  };

const scheduleOn = (route: RouteTraits): fc.Arbitrary<Schedule> =>
  fc.record({
    mode:
      route.policy === "mirror"
        ? fc.constantFrom<Mode[]>("transactional", "transactional", "outside", "standalone")
        : fc.constant<Mode>("transactional"),
    route: fc.constant(route),
    slices,
    batchCount: fc.integer({ min: 1, max: 8 }),
    budgetBytes: fc.constantFrom(1, 2000, 100_000),
    seed: fc.nat(),
    copied: fc.array(fc.record({ bad: rarely, more: rarely }), { maxLength: KEYS }),
    duringCopy: fc.array(fc.oneof(rest, trouble), { maxLength: 4 }),
    steps: fc.array(stepOf(route).map(onRoute(route)), { minLength: 1, maxLength: 40 }),
  });

export const anySchedule: fc.Arbitrary<Schedule> = anyRoute.chain(scheduleOn);
