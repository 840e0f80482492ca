import { type Document, EJSON, Timestamp } from "bson";
import { destinationText } from "#base/config/destination.ts";
import { plainRoute, type Route } from "#base/config/routes.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { bucketsOf, seriesOf } from "#base/flow/buckets.ts";
import type { Clock } from "#base/flow/clock.ts";
import { NamespaceFilter } from "#base/flow/namespaceFilter.ts";
import { type DdlEvent, formatNamespace, type Namespace, parseNamespace, type TargetOp } from "#base/flow/types.ts";
import type { Logger } from "#base/observe/log.ts";
import { type CollectionKind, hasDocuments, kindOf } from "#io/mongo/collections.ts";
import { type MongoClient, readTopology } from "#io/mongo/connect.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import type { SinkOf } from "#sink/open/openSink.ts";
import type { Sink } from "#sink/sink.ts";
import type { ProvenSource } from "#source/stream/deployment.ts";
import { carryOut, stepText } from "#structure/build/build.ts";
import { makeWay, type Way } from "#structure/build/makeWay.ts";
import type { CollectionSpec } from "#structure/model/model.ts";
import { readStructure } from "#structure/model/read.ts";
import { serverAbilitiesOf } from "#structure/model/relax.ts";
import { Selection } from "#structure/model/selection.ts";
import type { DdlRecord } from "#structure/model/structureRecords.ts";
import { routed } from "#structure/operations/structureOperations.ts";
import { planStructure } from "#structure/plan/planStructure.ts";
import type { StructureStore } from "#structure/plan/structureStore.ts";
import { wantedStructure } from "#structure/plan/wanted.ts";

export type FollowerDeps = Readonly<{
  /** Undefined where the worker has no source: then nothing is followed. */
  source: ProvenSource | undefined;
  target: MongoClient;
  state: StateDb;
  journal: StructureStore;
  route: Route;
  sink: Sink;
  sinkOf: SinkOf;
  clock: Clock;
  logger: Logger;
  hard: AbortSignal;
}>;

const DESCRIPTION = 1000;

/** The name under which structure knows a namespace. */
const seriesName = (name: string): string => {
  const ns = parseNamespace(name);
  return formatNamespace(seriesOf(ns) ?? ns);
};

/** What an event says of itself, shortened. */
const described = (event: Document): string => {
  const { operationDescription = {}, to } = event;
  return EJSON.stringify(to === undefined ? operationDescription : { to }, { relaxed: true }).slice(0, DESCRIPTION);
};

/**
 * Keeps a route's target collection built like the source's, relaxed, while documents stream. An event of the source is only
 * the occasion: what counts is what the source has now, so that events of several partitions may come in any order, twice,
 * or from before a rewind. Works where `ferry structure build` has been asked for the namespace, and the worker has the source.
 */
export class StructureFollower {
  readonly #deps: FollowerDeps;
  /** Does the route carry buckets? Then what is followed is their time series, which is made and changed as one with them. */
  readonly #buckets: boolean;
  /** Namespaces, as structure knows them. */
  readonly #from: string;
  readonly #to: string;

  constructor(deps: FollowerDeps) {
    const { from, to } = deps.route;
    this.#buckets = seriesOf(parseNamespace(from)) !== undefined;
    this.#from = seriesName(from);
    this.#to = seriesName(destinationText(to));
    this.#deps = deps;
  }

  /** Does ferry manage the structure of this source namespace? */
  async #follows(from: string): Promise<boolean> {
    if (this.#deps.source === undefined || !this.#deps.sink.can.structure) return false;
    const ns = parseNamespace(from);
    const asked = await this.#deps.journal.asked();
    return asked.some((spec) => new NamespaceFilter(spec).has(ns));
  }

  /**
   * Makes the target collection before anything is written to it: as the source has it now, or a plain one if ferry does not manage
   * after its structure. What the source has no more is not made: documents that it had once make it for themselves, and its
   * drop is still to come.
   * @param dropped it has just gone, so there may be nothing to make
   * @throws FERRY_MONGO_*; FERRY_STRUCTURE_REFUSED where buckets would have no time series
   */
  async prepare(dropped = false): Promise<void> {
    const { sink } = this.#deps;
    // It gets its documents on the server itself: none of them come here.
    if (parseNamespace(this.#from).coll.includes(".convertToCapped.")) return;
    if ((await this.follow()) !== undefined) return;
    if (!this.#buckets) await sink.prepare();
    else if (!dropped && (await this.#kind()) !== "timeseries")
      throw new FerryError(
        "FERRY_STRUCTURE_REFUSED",
        `the target has no time series ${this.#to}, and its structure is not managed by ferry`,
      );
  }

  /**
   * Makes the target's structure of a namespace what the source's is now. Undefined if ferry does not manage it.
   * @param again are indexes that made way tried again? Their own event may have been met.
   * @throws FERRY_MONGO_* of what passes; what the target refuses is logged and stays in the journal
   */
  async follow(again = false): Promise<readonly string[] | undefined> {
    const { source, journal, hard } = this.#deps;
    if (source === undefined || !(await this.#follows(this.#from))) return undefined;
    const from = parseNamespace(this.#from);
    const scope = { databases: [from.db], includes: ({ coll }: Namespace) => coll === from.coll };
    for (;;) {
      hard.throwIfAborted();
      const { collections, at = Timestamp.fromBits(0, 0) } = await readStructure(await source(), scope);
      // The owner of another partition has read the source later: what was read here is too old.
      if (!(await journal.claimReading(this.#to, at))) continue;
      const steps = await this.#converge(collections, again);
      // Another process read it later while this was being built: one of both must read again, and it is this one.
      if ((await journal.readAt(this.#to)).equals(at)) return steps;
    }
  }

  async #converge(collections: readonly CollectionSpec[], again: boolean): Promise<readonly string[]> {
    const { target, state, journal: store, clock, hard, logger, route } = this.#deps;
    const same = this.#from === this.#to && route.fields === undefined;
    const selection = new Selection({
      routes: same ? undefined : routed([{ ...route, from: this.#from, to: { mongodb: this.#to } }]),
      include: ["*.*"],
      exclude: [],
    });
    const { wanted } = wantedStructure(collections, selection);
    const to = parseNamespace(this.#to);
    const [present, { version }, journal] = await Promise.all([
      readStructure(target, { databases: [to.db], includes: ({ coll }: Namespace) => coll === to.coll }),
      readTopology(target),
      store.of(this.#to),
    ]);
    const plan = planStructure({
      wanted,
      target: present.collections,
      journal,
      abilities: serverAbilitiesOf(version),
      replace: false,
      // Its own buckets may still lie in the log, and would come when it had gone: their drop lies there behind them.
      empty: this.#buckets ? new Set() : await this.#withoutMeasurements(present.collections),
      again,
      stateDb: state.name,
    });
    const failures = await carryOut({ target, store, clock, signal: hard, report: () => undefined }, plan);
    const refused = plan.findings.filter(({ level }) => level === "refused");
    for (const { ns, reason } of [...failures, ...refused])
      logger.warn({ ns, err: reason }, "the source's structure cannot be followed");
    await this.#waitForOther(wanted[0]?.spec.kind);
    return [...plan.steps.map(stepText), ...refused.map(({ reason }) => `refused: ${reason}`)];
  }

  /**
   * The views and time series of a source's database, as `follow` does it for one namespace: when the database is dropped,
   * they go without an event. @throws FERRY_MONGO_*
   */
  async followHollow(db: string): Promise<readonly string[]> {
    const { source, target, state, journal, sink, sinkOf, clock, logger, hard } = this.#deps;
    const steps: string[] = [];
    for (const { _id, kind, from } of await journal.all()) {
      if (kind === "collection" || kind === "index" || parseNamespace(from).db !== db) continue;
      const route = { ...plainRoute(from), to: { mongodb: _id.ns } };
      const deps = { source, target, state, journal, route, sink, sinkOf, clock, logger, hard };
      const done = await new StructureFollower(deps).follow();
      steps.push(...(done ?? []).map((step) => `${_id.ns}: ${step}`));
    }
    return steps;
  }

  /** Time series that have nothing: of one that has, the drop of its buckets tells. */
  async #withoutMeasurements(present: readonly CollectionSpec[]): Promise<ReadonlySet<string>> {
    const empty = new Set<string>();
    const { target } = this.#deps;
    for (const { ns, kind } of present)
      if (kind === "timeseries" && !(await hasDocuments(target.db(ns.db), bucketsOf(ns).coll)))
        empty.add(formatNamespace(ns));
    return empty;
  }

  /**
   * A collection that becomes a time series, or ceases to be one, under the same name: documents and buckets have topics of
   * their own, and the one that comes too early waits until the other has dropped what was there.
   * @throws FERRY_MONGO_TRANSIENT, upon which the partition is released and tried again
   */
  async #waitForOther(wanted: CollectionKind | undefined): Promise<void> {
    if (wanted === undefined) return;
    const kind = await this.#kind();
    const early = this.#buckets
      ? wanted === "timeseries" && kind !== "timeseries"
      : wanted !== "timeseries" && kind === "timeseries";
    if (early)
      throw new FerryError(
        "FERRY_MONGO_TRANSIENT",
        `${this.#to} is ${kind === undefined ? "not there" : `still a ${kind}`} on the target, and a ${wanted} on the source`,
      );
  }

  /** What the target has under the name that is followed. */
  async #kind(): Promise<CollectionKind | undefined> {
    const { target } = this.#deps;
    const { db, coll } = parseNamespace(this.#to);
    return kindOf(target.db(db), coll);
  }

  /** Is the target's collection a view, or a time series whose buckets come by another topic? */
  async isHollow(): Promise<boolean> {
    if (!this.#deps.sink.can.structure) return false;
    const kind = await this.#kind();
    return !this.#buckets && kind !== undefined && kind !== "collection";
  }

  /** Removes what ferry has built and what refuses a document that is on its way. @throws FERRY_MONGO_* */
  async makeWay(ops: readonly TargetOp[], key: Uint8Array | undefined): Promise<Way> {
    const { target, state, journal: store, clock, hard, logger, sink, sinkOf } = this.#deps;
    if (!sink.can.structure) return undefined;
    const onAway = (index: string | undefined): void => {
      const what = index === undefined ? "a view" : `index ${index}`;
      logger.info({ ns: this.#to }, `${what} rejected a document older than itself: it is removed for now`);
    };
    const sinkAt = (ns: Namespace): Sink => sinkOf(plainRoute(formatNamespace(ns)));
    const deps = { target, scratchDb: state.name, sinkAt, clock, signal: hard, store, onAway };
    return makeWay(deps, parseNamespace(this.#to), ops, key);
  }

  /** Has an operator approved of a change that is held? */
  async isApproved(id: string): Promise<boolean> {
    return this.#deps.journal.isApproved(id);
  }

  /** Into the journal of changes. */
  async note(
    event: Pick<DdlEvent, "kind" | "at" | "ns">,
    body: Document,
    { id, outcome, steps }: Readonly<{ id: string; outcome: DdlRecord["outcome"]; steps: readonly string[] }>,
  ): Promise<void> {
    await this.#deps.journal.noteDdl({
      _id: id,
      route: this.#deps.route.name,
      ns: event.ns.coll === "" ? event.ns.db : formatNamespace(event.ns),
      kind: event.kind,
      at: new Timestamp(event.at),
      description: described(body),
      outcome,
      steps: [...steps],
      notedAt: new Date(),
    });
  }
}
