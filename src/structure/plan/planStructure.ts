import { formatNamespace, type Namespace, parseNamespace } from "#base/flow/types.ts";
import {
  type CollectionSpec,
  differences,
  type IndexSpec,
  indexKeyText,
  sameIndex,
  sameKey,
} from "#structure/model/model.ts";
import {
  isOn,
  type Options,
  optionsDocument,
  optionsWithin,
  pick,
  rawBoolean,
  rawSubdocument,
  rawText,
  without,
} from "#structure/model/options.ts";
import {
  type Held,
  impossible,
  type Relaxed,
  relaxCollection,
  relaxIndexes,
  type ServerAbilities,
} from "#structure/model/relax.ts";
import type { StructureRecord } from "#structure/model/structureRecords.ts";
import type { StructureFinding, Wanted } from "./wanted.ts";

/** The final state of an item, and what of it is deferred: goes into the journal with its step. */
export type Item = Readonly<{
  ns: Namespace;
  index: string;
  kind: StructureRecord["kind"];
  from: string;
  wanted: Options;
  held: readonly Held[];
}>;

/** One thing to do on the target, in this order. */
export type StructureStep =
  | Readonly<{ do: "drop"; ns: Namespace; view: boolean }>
  | Readonly<{ do: "create"; item: Item; options: Options }>
  | Readonly<{ do: "modify"; item: Item; command: Options }>
  | Readonly<{ do: "drop-index"; ns: Namespace; name: string }>
  | Readonly<{ do: "index"; item: Item; index: IndexSpec }>
  /** Nothing now; finalize does it. */
  | Readonly<{ do: "remember"; item: Item }>
  /** Gone on the source, and never built here. */
  | Readonly<{ do: "forget"; ns: Namespace; index: string }>;

export type BuildPlan = Readonly<{ steps: readonly StructureStep[]; findings: readonly StructureFinding[] }>;

export type PlanInput = Readonly<{
  wanted: readonly Wanted[];
  target: readonly CollectionSpec[];
  /** What ferry has built or planned before. */
  journal: readonly StructureRecord[];
  abilities: ServerAbilities;
  /** Selected target namespaces are emptied first. */
  replace: boolean;
  /**
   * Collections and time series of the target that are not wanted and have no documents: gone with the source's. Undefined
   * leaves them to the events of their drops.
   */
  empty: ReadonlySet<string> | undefined;
  /** Are indexes tried again that made way for a document? Otherwise they stay away until finalize. */
  again?: boolean;
  /** ferry's own database on the target. */
  stateDb: string;
}>;

/** Collection options that `collMod` can give to a collection that is there. */
const MODIFIABLE = new Set(["validator", "validationLevel", "validationAction", "changeStreamPreAndPostImages"]);
/** What never changes in a time series; its granularity may. */
const SERIES_FIELDS = ["timeField", "metaField"];
/** Those that finalize gives it. */
const HELD_OPTIONS = ["capped", "size", "max", "expireAfterSeconds"];

/** Can `collMod` make one time series the other? Its server says whether it may be so coarse, or so fine. */
const regrained = (wanted: Options, there: Options): boolean =>
  wanted["timeseries"] !== undefined &&
  there["timeseries"] !== undefined &&
  differences(
    pick(optionsWithin(wanted["timeseries"]), SERIES_FIELDS),
    pick(optionsWithin(there["timeseries"]), SERIES_FIELDS),
  ).length === 0;

/** By its name, where it has one: the spans follow from it, and are refused beside it. */
const grainOf = (series: Options): Options =>
  pick(
    series,
    series["granularity"] === undefined ? ["bucketMaxSpanSeconds", "bucketRoundingSeconds"] : ["granularity"],
  );

/** A source that says `off` by saying nothing. */
const modified = (options: Options, names: readonly string[]): Options => ({
  ...(names.includes("validator") && options["validator"] === undefined ? { validator: rawSubdocument({}) } : {}),
  ...(names.includes("changeStreamPreAndPostImages") && options["changeStreamPreAndPostImages"] === undefined
    ? { changeStreamPreAndPostImages: rawSubdocument({ enabled: rawBoolean(false) }) }
    : {}),
  ...(names.includes("validationLevel") && options["validationLevel"] === undefined
    ? { validationLevel: rawText("strict") }
    : {}),
  ...(names.includes("validationAction") && options["validationAction"] === undefined
    ? { validationAction: rawText("error") }
    : {}),
  ...pick(options, names),
  ...(names.includes("timeseries")
    ? { timeseries: rawSubdocument(grainOf(optionsWithin(options["timeseries"]))) }
    : {}),
});

/** Is it the same item, byte for byte, that the journal speaks of? */
const isWanted = ({ exact }: StructureRecord, { wanted }: Item): boolean =>
  exact !== undefined && Buffer.compare(exact.buffer, optionsDocument(wanted)) === 0;

class Planner {
  readonly #input: PlanInput;
  readonly #target: ReadonlyMap<string, CollectionSpec>;
  readonly #journal: ReadonlyMap<string, StructureRecord>;
  readonly steps: StructureStep[] = [];
  readonly findings: StructureFinding[] = [];

  constructor(input: PlanInput) {
    this.#input = input;
    this.#target = new Map(input.target.map((spec) => [formatNamespace(spec.ns), spec]));
    this.#journal = new Map(input.journal.map((record) => [`${record._id.ns}\0${record._id.index}`, record]));
  }

  #known(ns: string, index = ""): StructureRecord | undefined {
    return this.#journal.get(`${ns}\0${index}`);
  }

  collection({ from, spec }: Wanted): void {
    const ns = formatNamespace(spec.ns);
    const reason =
      spec.ns.db === this.#input.stateDb ? `${spec.ns.db} is ferry's own database` : this.#impossible(spec);
    if (reason !== undefined) {
      this.findings.push({ level: "refused", ns, reason });
      return;
    }
    const there = this.#target.get(ns);
    const replaced = there !== undefined && (this.#input.replace || this.#isShell(there, spec));
    if (replaced) this.steps.push({ do: "drop", ns: spec.ns, view: there.kind === "view" });
    if (spec.kind === "view") this.#view(from, spec, replaced ? undefined : there);
    else if (this.#body(from, spec, replaced ? undefined : there))
      this.#indexes(from, spec, replaced ? undefined : there);
  }

  /** Built here, without documents of its own, and of another kind by now: a view, or a time series that has nothing. */
  #isShell(there: CollectionSpec, spec: CollectionSpec): boolean {
    const ns = formatNamespace(there.ns);
    const hollow = there.kind === "view" || (there.kind === "timeseries" && this.#input.empty?.has(ns) === true);
    return hollow && there.kind !== spec.kind && this.#known(ns) !== undefined;
  }

  #impossible(spec: CollectionSpec): string | undefined {
    return impossible(spec, this.#input.abilities.version);
  }

  #item(from: string, spec: CollectionSpec, held: readonly Held[]): Item {
    return { ns: spec.ns, index: "", kind: spec.kind, from, wanted: spec.options, held };
  }

  #view(from: string, spec: CollectionSpec, there: CollectionSpec | undefined): void {
    const ns = formatNamespace(spec.ns);
    const item = this.#item(from, spec, []);
    if (there === undefined) this.steps.push({ do: "create", item, options: spec.options });
    else if (there.kind !== "view") this.#refuse(ns, `the target has a ${there.kind} of this name, the source a view`);
    else if (differences(spec.options, there.options).length === 0) this.#remember(item);
    else if (this.#known(ns) === undefined) this.#refuse(ns, "the target has another view of this name");
    else if (
      differences(without(spec.options, "viewOn", "pipeline"), without(there.options, "viewOn", "pipeline")).length > 0
    )
      this.steps.push({ do: "drop", ns: spec.ns, view: true }, { do: "create", item, options: spec.options });
    else this.steps.push({ do: "modify", item, command: pick(spec.options, ["viewOn", "pipeline"]) });
  }

  /** There as far as possible now: added to the journal if it is missing there. */
  #remember(item: Item): void {
    const known = this.#known(formatNamespace(item.ns), item.index);
    const same =
      known !== undefined &&
      (known.state === "built" || known.state === "final") &&
      isWanted(known, item) &&
      known.held.join() === item.held.join();
    if (!same) this.steps.push({ do: "remember", item });
  }

  #refuse(ns: string, reason: string, index?: string): void {
    this.findings.push({ level: "refused", ns, ...(index === undefined ? {} : { index }), reason });
  }

  /** The collection itself; false where it cannot be had. */
  #body(from: string, spec: CollectionSpec, there: CollectionSpec | undefined): boolean {
    const ns = formatNamespace(spec.ns);
    const { options, held } = relaxCollection(spec.options);
    const item = this.#item(from, spec, held);
    if (there === undefined) {
      this.steps.push({ do: "create", item, options });
      return true;
    }
    if (there.kind !== spec.kind) {
      this.#refuse(ns, `the target has a ${there.kind} of this name, the source a ${spec.kind}`);
      return false;
    }
    if (differences(spec.options, there.options).length === 0) {
      // Complete already: nothing of it is deferred.
      this.#remember({ ...item, held: [] });
      return true;
    }
    const wrong = differences(options, without(there.options, ...HELD_OPTIONS));
    const foreign = HELD_OPTIONS.filter((name) => there.options[name] !== undefined);
    const fixed = wrong.filter(
      (name) => !MODIFIABLE.has(name) && !(name === "timeseries" && regrained(options, there.options)),
    );
    const ours = this.#known(ns) !== undefined;
    const strange = ours ? [] : [...foreign, ...wrong.filter((name) => there.options[name] !== undefined)];
    const refused = [...new Set([...fixed, ...strange])];
    if (refused.length > 0) {
      this.#refuse(ns, `the target has this collection with another ${refused.join(", ")}`);
      return false;
    }
    if (wrong.length > 0) this.steps.push({ do: "modify", item, command: modified(options, wrong) });
    else this.#remember(item);
    return true;
  }

  #indexes(from: string, spec: CollectionSpec, there: CollectionSpec | undefined): void {
    const ns = formatNamespace(spec.ns);
    const wanted = relaxIndexes(spec.indexes, this.#input.abilities);
    const present = new Map((there?.indexes ?? []).map((index) => [index.name, index]));
    const building = new Set(there?.building);
    // What the source has no more goes first: an index that came in its place may have the same key.
    for (const { _id } of this.#input.journal.filter((record) => record._id.ns === ns && record.kind === "index")) {
      if (spec.indexes.some(({ name }) => name === _id.index)) continue;
      const name = _id.index;
      this.steps.push(
        present.has(name) || building.has(name)
          ? { do: "drop-index", ns: spec.ns, name }
          : { do: "forget", ns: spec.ns, index: name },
      );
      present.delete(name);
    }
    for (const relaxed of wanted) this.#index(from, spec, relaxed, there === undefined ? undefined : present);
  }

  /** Has it made way for a document that is on its way, and is it to stay away? */
  #isAway(item: Item): boolean {
    const known = this.#known(formatNamespace(item.ns), item.index);
    return (
      this.#input.again !== true && known?.state === "built" && known.held.includes("index") && isWanted(known, item)
    );
  }

  /** @param present undefined where the collection is made now */
  #index(
    from: string,
    spec: CollectionSpec,
    { full, built, held }: Relaxed,
    present: ReadonlyMap<string, IndexSpec> | undefined,
  ): void {
    const found = present?.get(full.name);
    const wanted = { key: full.key, ...full.options };
    const item: Item = { ns: spec.ns, index: full.name, kind: "index", from, wanted, held };
    if (found !== undefined && sameIndex(found, full)) {
      this.#remember({ ...item, held: [] });
      return;
    }
    if (built === undefined || (found !== undefined && sameIndex(found, built))) {
      this.#remember(item);
      return;
    }
    if (found !== undefined) this.#change(item, found, built);
    else if (present === undefined) this.steps.push({ do: "index", item, index: built });
    else if (!this.#isAway(item)) this.#buildIndex(item, built, present);
  }

  /** An index of this name is there and is another one. */
  #change(item: Item, found: IndexSpec, built: IndexSpec): void {
    const ns = formatNamespace(item.ns);
    if (this.#known(ns, item.index) === undefined) {
      const differs = differences(found.options, built.options).join(", ");
      const how = sameKey(found, built) ? `with another ${differs}` : `on ${indexKeyText(found)}`;
      this.#refuse(ns, `the target has an index of this name ${how}`, item.index);
    } else if (sameKey(found, built) && differences(found.options, built.options).join() === "hidden") {
      const index = { name: rawText(item.index), hidden: rawBoolean(isOn(built.options["hidden"])) };
      this.steps.push({ do: "modify", item, command: { index: rawSubdocument(index) } });
    } else {
      this.steps.push({ do: "drop-index", ns: item.ns, name: item.index }, { do: "index", item, index: built });
    }
  }

  #buildIndex(item: Item, built: IndexSpec, present: ReadonlyMap<string, IndexSpec>): void {
    const twin = [...present.values()].find((one) => sameIndex(one, built));
    if (twin === undefined) this.steps.push({ do: "index", item, index: built });
    else
      this.#refuse(formatNamespace(item.ns), `the target has the same index under the name ${twin.name}`, item.index);
  }

  /** What ferry built and the source has no more. Documents are never dropped here: they go with the drop's own event. */
  gone(wanted: ReadonlySet<string>): void {
    const { journal, empty } = this.#input;
    for (const { _id, kind } of journal) {
      if (kind === "index" || wanted.has(_id.ns)) continue;
      const there = this.#target.get(_id.ns);
      if (there === undefined) this.steps.push({ do: "forget", ns: parseNamespace(_id.ns), index: "" });
      else if (there.kind === "view" || empty?.has(_id.ns))
        this.steps.push({ do: "drop", ns: there.ns, view: there.kind === "view" });
    }
  }
}

/**
 * What is to be done so that the target has the wanted structure, with everything deferred that would reject or delete
 * documents while they still arrive. Collections in order, views last. Pure; the same input gives the same plan, and a plan
 * that was carried out leaves nothing to do.
 */
export const planStructure = (input: PlanInput): BuildPlan => {
  const planner = new Planner(input);
  planner.gone(new Set(input.wanted.map(({ spec }) => formatNamespace(spec.ns))));
  for (const wanted of input.wanted) planner.collection(wanted);
  return { steps: planner.steps, findings: planner.findings };
};
