import { formatNamespace } from "#base/flow/types.ts";
import { type CollectionSpec, differences, type IndexSpec, sameKey } from "#structure/model/model.ts";
import type { Held } from "#structure/model/relax.ts";
import type { StructureRecord } from "#structure/model/structureRecords.ts";
import type { Wanted } from "#structure/plan/wanted.ts";

/** A collection, view or index of the target that is not as it should be in the end. */
export type StructureDifference = Readonly<{
  /** Target namespace. */
  ns: string;
  /** Empty for the collection or view itself. */
  index: string;
  kind: "missing" | "different" | "extra";
  /** What differs, by the options' names; `kind`, `key` and `order` of documents among them. */
  options: readonly string[];
  /** ferry holds it back until finalize, or builds it: nothing is wrong with it before that. */
  deferred: boolean;
}>;

/** What is deferred, and which options differ because of it. */
const HELD: Readonly<Record<Held, readonly string[]>> = {
  capped: ["capped", "size", "max"],
  ttl: ["expireAfterSeconds"],
  validator: ["validationLevel"],
  unique: ["unique"],
  prepareUnique: ["prepareUnique"],
  index: [],
};

type Journal = ReadonlyMap<string, Pick<StructureRecord, "held" | "state">>;

const keyOf = (ns: string, index: string): string => `${ns}\0${index}`;

/** Which of an item's differences are not to be there yet. */
const deferredOf = (record: ReturnType<Journal["get"]>): ReadonlySet<string> =>
  new Set((record?.held ?? []).flatMap((held) => HELD[held]));

class StructureComparison {
  readonly found: StructureDifference[] = [];
  readonly #journal: Journal;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  collection(spec: CollectionSpec, there: CollectionSpec | undefined): void {
    const ns = formatNamespace(spec.ns);
    if (there === undefined) this.#missing(ns, "");
    else if (there.kind !== spec.kind) this.#different(ns, "", ["kind"]);
    else {
      this.#different(ns, "", differences(spec.options, there.options));
      this.#indexes(ns, spec, there);
    }
  }

  #indexes(ns: string, spec: CollectionSpec, there: CollectionSpec): void {
    const present = new Map(there.indexes.map((index) => [index.name, index]));
    for (const index of spec.indexes) {
      const found = present.get(index.name);
      present.delete(index.name);
      if (found === undefined) this.#missing(ns, index.name);
      else this.#different(ns, index.name, indexDifferences(index, found));
    }
    // One that ferry never knew is the target's own.
    for (const name of present.keys())
      if (this.#journal.has(keyOf(ns, name)))
        this.found.push({ ns, index: name, kind: "extra", options: [], deferred: false });
  }

  #missing(ns: string, index: string): void {
    const record = this.#journal.get(keyOf(ns, index));
    const deferred = record !== undefined && (record.state === "planned" || record.held.includes("index"));
    this.found.push({ ns, index, kind: "missing", options: [], deferred });
  }

  #different(ns: string, index: string, options: readonly string[]): void {
    const held = deferredOf(this.#journal.get(keyOf(ns, index)));
    const [later, wrong] = [options.filter((name) => held.has(name)), options.filter((name) => !held.has(name))];
    if (later.length > 0) this.found.push({ ns, index, kind: "different", options: later, deferred: true });
    if (wrong.length > 0) this.found.push({ ns, index, kind: "different", options: wrong, deferred: false });
  }
}

const indexDifferences = (wanted: IndexSpec, found: IndexSpec): readonly string[] => [
  ...(sameKey(wanted, found) ? [] : ["key"]),
  ...differences(wanted.options, found.options),
];

/** What of the wanted structure the target does not have, or has in another way. Pure. */
export const compareStructure = (
  wanted: readonly Wanted[],
  present: readonly CollectionSpec[],
  journal: readonly StructureRecord[],
): readonly StructureDifference[] => {
  const there = new Map(present.map((spec) => [formatNamespace(spec.ns), spec]));
  const comparison = new StructureComparison(
    new Map(journal.map((record) => [keyOf(record._id.ns, record._id.index), record])),
  );
  for (const { spec } of wanted) comparison.collection(spec, there.get(formatNamespace(spec.ns)));
  return comparison.found;
};
