import { formatNamespace, type Namespace } from "#base/flow/types.ts";
import type { CollectionSpec, IndexSpec } from "#structure/model/model.ts";
import { type Options, rawText, textOf, without } from "#structure/model/options.ts";
import type { FieldMap, RoutedTarget, Selection } from "#structure/model/selection.ts";
import { fitIndex } from "./fields.ts";
import { readBy, renameIn } from "./views.ts";

/**
 * Something that an operator should know before anything is written. `refused`: MongoDB makes it impossible, nothing
 * begins; `left-out`: this part is not built; `note`: it is built, with a limit.
 */
export type StructureFinding = Readonly<{
  level: "refused" | "left-out" | "note";
  /** Target namespace. */
  ns: string;
  index?: string;
  reason: string;
}>;

/** A collection as it should be on the target in the end. */
export type Wanted = Readonly<{ from: string; spec: CollectionSpec }>;

type WantedStructure = { wanted: Wanted[]; findings: StructureFinding[] };

const fitIndexes = (
  indexes: readonly IndexSpec[],
  fields: FieldMap | undefined,
  ns: string,
  findings: StructureFinding[],
): readonly IndexSpec[] => {
  if (fields === undefined) return indexes;
  return indexes.flatMap((index) => {
    const fitted = fitIndex(index, fields);
    if ("leftOut" in fitted) {
      findings.push({ level: "left-out", ns, index: index.name, reason: fitted.leftOut });
      return [];
    }
    if (fitted.note !== undefined) findings.push({ level: "note", ns, index: index.name, reason: fitted.note });
    return [fitted.index];
  });
};

const VALIDATION = ["validator", "validationLevel", "validationAction"];

const fitOptions = (
  options: Options,
  fields: FieldMap | undefined,
  ns: string,
  findings: StructureFinding[],
): Options => {
  if (fields === undefined || options["validator"] === undefined) return options;
  const reason = "the route changes documents, and the source's validator speaks of unchanged ones";
  findings.push({ level: "left-out", ns, reason: `validator: ${reason}` });
  return without(options, ...VALIDATION);
};

/** Rules speak of measurements, and what is carried are buckets, in which the server has packed them. */
const UNRULY =
  "time series: a route with `fields` or `where` cannot carry it, since measurements are carried in the server's own buckets";

/** `find` there joins texts that ferry's row filter keeps apart. */
const COLLATED =
  "the route's `where` compares text byte by byte, and the collection has a default collation, by which the source would choose other documents";

const addCollection = (
  spec: CollectionSpec,
  { ns, fields, chosen = false, byText = false }: RoutedTarget,
  { wanted, findings }: WantedStructure,
): void => {
  const name = formatNamespace(ns);
  if (spec.kind === "timeseries" && (fields !== undefined || chosen)) {
    findings.push({ level: "refused", ns: name, reason: UNRULY });
    return;
  }
  if (byText && spec.options["collation"] !== undefined) {
    findings.push({ level: "refused", ns: name, reason: COLLATED });
    return;
  }
  const options = fitOptions(spec.options, fields, name, findings);
  const indexes = fitIndexes(spec.indexes, fields, name, findings);
  wanted.push({ from: formatNamespace(spec.ns), spec: { ...spec, ns, options, indexes } });
  if (spec.kind === "timeseries")
    findings.push({
      level: "note",
      ns: name,
      reason:
        "time series: built empty; `ferry run` and `ferry capture` copy its measurements, the official connector does not",
    });
};

/** What a view stands on. */
const baseOf = (options: Options): string => textOf(options["viewOn"]) ?? "";

type Bases = ReadonlyMap<string, readonly RoutedTarget[]>;

/** Where a view's own collection goes; a view on a view goes where that one goes. */
const addView = (
  spec: CollectionSpec,
  bases: Bases,
  selection: Selection,
  { wanted, findings }: WantedStructure,
): void => {
  const { db } = spec.ns;
  const base = bases.get(formatNamespace({ db, coll: baseOf(spec.options) }));
  for (const target of new Set((base ?? [{ ns: spec.ns }]).map(({ ns }) => ns.db))) {
    const rename = (coll: string): string =>
      bases.get(formatNamespace({ db, coll }))?.find(({ ns }) => ns.db === target)?.ns.coll ?? coll;
    const ns: Namespace = { db: target, coll: spec.ns.coll };
    const { pipeline } = spec.options;
    const options = {
      ...spec.options,
      viewOn: rawText(rename(baseOf(spec.options))),
      ...(pipeline === undefined ? {} : { pipeline: renameIn(pipeline, rename) }),
    };
    wanted.push({ from: formatNamespace(spec.ns), spec: { ...spec, ns, options } });
    const absent = readBy(spec.options).filter(
      (coll) => !bases.get(formatNamespace({ db, coll }))?.some((one) => one.ns.db === target),
    );
    if (absent.length > 0)
      findings.push({ level: "note", ns: formatNamespace(ns), reason: `reads ${absent.join(", ")}, not carried` });
    if (selection.routed && base?.some(({ fields }) => fields !== undefined))
      findings.push({ level: "note", ns: formatNamespace(ns), reason: "reads documents that the route changes" });
  }
};

/**
 * The source's structure as the target should have it: renamed, and suited to what the routes' field rules make of the
 * documents. Collections first, views last. Pure.
 */
export const wantedStructure = (source: readonly CollectionSpec[], selection: Selection): Readonly<WantedStructure> => {
  const found: WantedStructure = { wanted: [], findings: [] };
  const bases = new Map<string, readonly RoutedTarget[]>();
  for (const spec of source.filter(({ kind }) => kind !== "view")) {
    const destinations = selection.destinations(spec.ns);
    if (destinations.length > 0) bases.set(formatNamespace(spec.ns), destinations);
    for (const destination of destinations) addCollection(spec, destination, found);
  }
  let views = source.filter(({ kind }) => kind === "view");
  // With routes, a view is carried where what it stands on is; views may stand on views.
  for (let before = -1; selection.routed && before !== bases.size; ) {
    before = bases.size;
    for (const { ns, options } of views) {
      const base = bases.get(formatNamespace({ db: ns.db, coll: baseOf(options) }));
      if (base !== undefined)
        bases.set(
          formatNamespace(ns),
          base.map((one) => ({ ns: { db: one.ns.db, coll: ns.coll }, fields: one.fields })),
        );
    }
  }
  if (selection.routed) views = views.filter(({ ns }) => bases.has(formatNamespace(ns)));
  else for (const { ns } of views) bases.set(formatNamespace(ns), [{ ns, fields: undefined }]);
  for (const spec of views) addView(spec, bases, selection, found);
  return found;
};
