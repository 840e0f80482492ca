import { bsonText } from "#base/bson/text.ts";
import { seriesOf } from "#base/flow/buckets.ts";
import { count, duration } from "#base/flow/figures.ts";
import { parseNamespace } from "#base/flow/types.ts";
import type { StructureDifference } from "#proof/structure/compareStructure.ts";
import { type Carried, leftOutText } from "#proof/verify/carried.ts";
import type { Wrong } from "#proof/verify/recheck.ts";
import type { PassResult } from "#proof/verify/verification.ts";
import type { Verified } from "#proof/verify/verifiedUpTo.ts";
import { secondsOf, timeText } from "#source/stream/resumeToken.ts";
import { printAside } from "#surface/terminal/output.ts";

/** How long everything up to the source's state has been on the target, at least, ms. */
const ageOf = ({ since, seenAt }: Pick<Wrong, "since" | "seenAt">): number =>
  (secondsOf(seenAt) - secondsOf(since)) * 1000;

/** Buckets have the name of their time series. */
const nameOf = ({ route }: PassResult): string => {
  const series = seriesOf(parseNamespace(route));
  return series === undefined ? route : `${series.db}.${series.coll} (buckets)`;
};

/** One document, for people. */
export const wrongLine = ({ key, kind, difference, ...times }: Wrong): string => {
  const how = difference === undefined ? "" : `, ${difference.kind} at ${difference.path || "the document itself"}`;
  const age = ageOf(times) < 1000 ? "" : `, for ${duration(ageOf(times))}`;
  return `  ${bsonText(key)} ${kind}${how}${age}`;
};

/** Says which routes a command about collections leaves out. */
export const sayLeftOut = (carried: Carried): void => {
  const text = leftOutText(carried);
  if (text !== undefined) printAside(`ferry: ${text}`);
};

/** One route, for people. */
export const resultLines = (result: PassResult): string[] => {
  const { documents, wrong, excused, behind, at, examples } = result;
  const notes = [
    wrong === 0 ? "all equal" : `${count(wrong)} wrong`,
    ...(excused === 0 ? [] : [`${count(excused)} in the dead letters`]),
    ...(behind === 0 ? [] : [`${count(behind)} behind`]),
  ];
  return [
    `${nameOf(result)}: ${count(documents, "document")} compared, ${notes.join(", ")}; the source as of ${timeText(at)}`,
    ...examples.map(wrongLine),
    ...(wrong > examples.length ? [`  … and ${count(wrong - examples.length)} more`] : []),
  ];
};

/** One route, as JSON. */
export const resultFacts = ({ examples, at, ...rest }: PassResult): object => ({
  ...rest,
  sourceTime: timeText(at),
  examples: examples.map(({ key, kind, difference, since, seenAt }) => ({
    key: JSON.parse(bsonText(key)),
    kind,
    ...(difference === undefined ? {} : { how: difference.kind, path: difference.path }),
    since: timeText(since),
    ageMs: ageOf({ since, seenAt }),
  })),
});

/** What the structure lacks, for people. */
export const structureLines = (structure: readonly StructureDifference[]): string[] => {
  const wrong = structure.filter(({ deferred }) => !deferred);
  const later = structure.length - wrong.length;
  const notes = [
    ...(wrong.length === 0 ? [] : [`${count(wrong.length)} wrong`]),
    ...(later === 0 ? [] : [`${count(later)} deferred until finalize`]),
  ];
  return [
    `structure: ${notes.length === 0 ? "as on the source" : notes.join(", ")}`,
    ...wrong.map(({ ns, index, kind, options }) => {
      const what = kind === "different" ? `another ${options.join(", ")}` : kind;
      return `  ${ns}${index === "" ? "" : ` index ${index}`}: ${what}`;
    }),
  ];
};

/** How far is proven, for people. */
export const verifiedLine = ({ upTo, wrong, behind, structure, unverified }: Verified): string => {
  if (unverified.length > 0) return `verifying ${unverified.join(", ")}`;
  const notes = [
    wrong === 0 ? "nothing wrong" : `${count(wrong)} wrong`,
    ...(behind === 0 ? [] : [`${count(behind)} behind`]),
    ...(structure.length === 0 ? [] : [`structure: ${structure.join(", ")}`]),
  ];
  return `verified up to ${timeText(upTo)}: ${notes.join(", ")}`;
};
