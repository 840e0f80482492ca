import { BSONRegExp } from "bson";
import { BUCKETS, seriesOf } from "#base/flow/buckets.ts";
import {
  databasesNamed,
  globSource,
  isGlob,
  NamespaceFilter,
  NamespacePattern,
  type NamespaceSpec,
  watchedDatabase,
} from "#base/flow/namespaceFilter.ts";
import { formatNamespace, type Namespace } from "#base/flow/types.ts";
import type { Watch } from "./watchLevel.ts";

/** Databases of the server itself. */
const INTERNAL = ["admin", "local", "config"];

/** How the server matches a name that fits a glob. */
const condition = (glob: string): unknown => (isGlob(glob) ? { $regex: globSource(glob), $options: "s" } : glob);

/** The same for the server: a collection of this name, or the buckets of a time series of this name. */
const eitherName = (coll: string): unknown => ({ $in: [coll, `${BUCKETS}${coll}`].map(asValue) });

/** `$in` takes regular expressions as such only. */
const asValue = (glob: string): unknown => (isGlob(glob) ? new BSONRegExp(globSource(glob), "s") : glob);

/**
 * Which namespaces a capture carries. The server's own databases never, and of `system.*` only the buckets of time series; nor
 * does a glob take in the database in which ferry keeps its state, should the source have one of that name.
 */
export class Scope {
  readonly spec: NamespaceSpec;
  readonly #filter: NamespaceFilter;
  readonly #stateDb: string;
  readonly #known = new Map<string, boolean>();

  constructor(spec: NamespaceSpec, stateDb: string) {
    this.spec = spec;
    this.#filter = new NamespaceFilter(spec);
    this.#stateDb = stateDb;
  }

  has(ns: Namespace): boolean {
    const name = formatNamespace(ns);
    let known = this.#known.get(name);
    if (known === undefined) {
      known = this.#decide(ns);
      this.#known.set(name, known);
    }
    return known;
  }

  #decide(ns: Namespace): boolean {
    const { coll } = seriesOf(ns) ?? ns;
    if (this.#never().includes(ns.db) || coll === "" || coll.startsWith("system.")) return false;
    return this.#filter.has(ns);
  }

  #never(): string[] {
    return [...INTERNAL, this.#stateDb];
  }

  /** What was asked for and does not exist among these, as it was written. */
  absent(existing: readonly Namespace[]): readonly string[] {
    const found = existing.filter((ns) => this.has(ns));
    return this.#filter.include.filter((glob) => !found.some((ns) => glob.matches(ns))).map(({ text }) => text);
  }

  /** Does one of these have this name, or match this glob, but is excluded? */
  leavesOut(text: string, existing: readonly Namespace[]): boolean {
    const glob = new NamespacePattern(text);
    return existing.some((ns) => glob.matches(ns) && this.#filter.excludes(ns));
  }

  /** What was to be left out and is not among these, as it was written. */
  idleExclusions(existing: readonly Namespace[]): readonly string[] {
    return this.#filter.exclude.filter((glob) => !existing.some((ns) => glob.matches(ns))).map(({ text }) => text);
  }

  /** One database: a stream on it needs no more than its privileges. Several: a stream on the whole cluster. */
  get watch(): Watch {
    const db = watchedDatabase(databasesNamed(this.#filter.include.map(({ text }) => text)));
    return { level: db === "" ? "cluster" : "database", db, coll: "" };
  }

  /**
   * The first stage after `$changeStream`: what is not carried stays on the server, but for system collections, of which
   * there is little; `has` decides.
   * @param buckets whether the stream shows system collections, among them those of time series
   */
  match(buckets: boolean): object {
    const named = buckets ? eitherName : condition;
    const { level, db: watched } = this.watch;
    // Of one database the server shows nothing else, and each condition costs it time with every event.
    const within = ({ db, coll }: NamespacePattern, field: "ns" | "to"): object => ({
      ...(level === "database" ? {} : { [`${field}.db`]: condition(db) }),
      ...(coll === "*" ? {} : { [`${field}.coll`]: named(coll) }),
    });
    const side = (field: "ns" | "to"): object => ({ $or: this.#filter.include.map((glob) => within(glob, field)) });
    const out = this.#filter.exclude
      .filter((glob) => level === "cluster" || glob.matchesDatabase(watched))
      .map((glob) => within(glob, "ns"));
    return {
      $and: [
        ...(level === "database" ? [] : [{ "ns.db": { $nin: this.#never() } }]),
        { $or: [side("ns"), side("to"), { operationType: { $in: ["dropDatabase", "invalidate"] } }] },
        // A rename out of what is left out brings a collection in: its `ns` is the old name.
        ...(out.length === 0 ? [] : [{ $or: [{ operationType: "rename" }, { $nor: out }] }]),
      ],
    };
  }
}
