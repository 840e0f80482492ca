import { bsonText } from "#base/bson/text.ts";
import type { DriftLedger, Place } from "#route/drift/ledger.ts";
import type { DriftKind, Verdict } from "#route/drift/observer.ts";

type TimelinePlace = Readonly<{ seconds: number; increment: number; partition: number; offset: number }>;

/** One type of one path of a route, over all of its lanes. */
export type DriftLine = Readonly<{
  route: string;
  path: string;
  type: string;
  kind: DriftKind;
  baseline: boolean;
  /** What is done with it now: the operator's word where there is one. */
  outcome: Verdict;
  first: TimelinePlace;
  last: TimelinePlace;
  count: number;
  /** `{ _id }` of the first document, raw. */
  example: Uint8Array | null;
}>;

const moment = ({ at, partition, offset }: Place): TimelinePlace => ({
  seconds: at.getHighBitsUnsigned(),
  increment: at.getLowBitsUnsigned(),
  partition,
  offset: Number(offset),
});

const before = (a: TimelinePlace, b: TimelinePlace): boolean =>
  a.seconds < b.seconds || (a.seconds === b.seconds && a.increment < b.increment);

/** The ledger, earliest first. @throws FERRY_MONGO_* */
export const readTimeline = async (ledger: DriftLedger, route: string | undefined): Promise<DriftLine[]> => {
  const [records, decisions] = await Promise.all([ledger.read(route), ledger.decisions(route)]);
  const decided = new Map(decisions.map((one) => [`${one.route}/${one.type ?? "*"}/${one.path}`, one.verdict]));
  const lines = new Map<string, DriftLine>();
  for (const record of records) {
    const { path, type, kind, baseline, outcome, count, example } = record;
    const key = `${record.route}/${type}/${path}`;
    const [first, last] = [moment(record.first), moment(record.last)];
    const known = lines.get(key);
    const word = decided.get(key) ?? decided.get(`${record.route}/*/${path}`);
    lines.set(key, {
      route: record.route,
      path,
      type,
      kind: known?.kind === "field" ? "field" : kind,
      baseline: baseline || known?.baseline === true,
      outcome: word ?? known?.outcome ?? outcome,
      first: known !== undefined && before(known.first, first) ? known.first : first,
      last: known !== undefined && before(last, known.last) ? known.last : last,
      count: (known?.count ?? 0) + Number(count),
      example: known?.example ?? example?.buffer ?? null,
    });
  }
  return [...lines.values()].sort((a, b) => (before(a.first, b.first) ? -1 : before(b.first, a.first) ? 1 : 0));
};

/** A line as JSON tells it: the example as extended JSON. */
export type DriftFacts = Omit<DriftLine, "example"> & Readonly<{ example: unknown }>;

export const driftFacts = (line: DriftLine): DriftFacts => ({
  ...line,
  example: line.example === null ? null : JSON.parse(bsonText(line.example)),
});
