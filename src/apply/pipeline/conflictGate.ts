import type { Timestamp } from "bson";
import type { ConflictRecord } from "#apply/conflict/conflictRecords.ts";
import type { ConflictBook, MarkBook } from "#apply/conflict/foreignWrites.ts";
import { type ResolveOptions, resolve, type Touched } from "#apply/conflict/resolve.ts";
import type { TargetWatch } from "#apply/conflict/targetWatch.ts";
import type { Entry } from "#apply/plan/entry.ts";
import { keyOf } from "#apply/plan/entry.ts";
import { identityOf } from "#base/bson/identity.ts";
import type { StateTx } from "#base/flow/stateTx.ts";
import type { Sink } from "#sink/sink.ts";

/** A batch as it may be written, by a transaction that reads as of `at`. */
export type Settlement = Readonly<{
  entries: readonly Entry[];
  conflicts: readonly ConflictRecord[];
  at: Timestamp;
  /** Identities whose marks are dealt with by this batch. */
  settled: readonly string[];
}>;

export type ConflictGateDeps = Omit<ResolveOptions, "route" | "partition" | "ns"> &
  Readonly<{
    where: Readonly<{ route: string; partition: number }>;
    sink: Sink;
    watch: TargetWatch;
    marks: MarkBook;
    store: ConflictBook;
    /** The number of the seeding whose marks count; undefined where the target was empty. */
    seed: number | undefined;
    /** Are marks incomplete, so that every document must be read? */
    unsure: boolean;
  }>;

/**
 * What a lane asks before it writes where the target has writers of its own. Documents without foreign writes pass unchanged
 * and unread; for the others the target's version is read as of one instant, and the batch's transaction reads as of the same:
 * whatever is written in between makes it fail and be asked again.
 */
export class ConflictGate {
  readonly #deps: ConflictGateDeps;
  /**
   * The poll of the watch that knows everything that was committed for the partition: by any of its lanes, since another one may
   * have copied a document, and by the owner before this one. A transaction that read as of an earlier time would not see such
   * a document: a delete of it would find nothing.
   */
  #since: number;

  constructor(deps: ConflictGateDeps) {
    this.#deps = deps;
    this.#since = deps.watch.mark();
  }

  /** What is committed by now is known to what is settled from now on. */
  committed(): void {
    this.#since = this.#deps.watch.mark();
  }

  /**
   * Resolves a batch as of a time not older than what was committed. `isHeld`: keys that wait in the dead letters are left alone.
   * @throws FERRY_TARGET_HISTORY, FERRY_MONGO_*
   */
  async settle(entries: readonly Entry[], isHeld: (key: Uint8Array) => boolean): Promise<Settlement> {
    const { watch, policy, unsure } = this.#deps;
    const at = await watch.upTo(this.#since);
    const keys = new Map<string, Uint8Array>();
    for (const entry of entries) {
      const key = entry.dead === undefined ? keyOf(entry) : undefined;
      if (key !== undefined && (unsure || watch.mayHaveTouched(key)) && !isHeld(key)) keys.set(identityOf(key), key);
    }
    const touched = keys.size === 0 ? NOTHING : await this.#touched(keys, at);
    if (touched.size === 0) return { entries, conflicts: [], at, settled: [] };
    const { where, sink, isSource } = this.#deps;
    const resolution = resolve(entries, touched, { ...where, ns: sink.name, policy, isSource });
    const marked = [...touched].flatMap(([identity, { mark }]) => (mark === undefined ? [] : [identity]));
    return { ...resolution, at, settled: policy === "merge" ? marked : [] };
  }

  async #touched(keys: ReadonlyMap<string, Uint8Array>, at: Timestamp): Promise<ReadonlyMap<string, Touched>> {
    const { marks, where, seed, sink, unsure } = this.#deps;
    const found = await marks.read(where.route, [...keys.keys()]);
    const own = new Map(
      [...found].filter(([, { mark }]) => mark?.at !== undefined || Number(mark?.seed ?? -1) === seed),
    );
    if (unsure) for (const identity of keys.keys()) if (!own.has(identity)) own.set(identity, UNMARKED);
    if (own.size === 0) return NOTHING;
    const wanted = [...own.keys()].flatMap((identity) => keys.get(identity) ?? []);
    const documents = await sink.read(wanted, at);
    const current = new Map(documents.map((document) => [identityOf(document), document]));
    return new Map([...own].map(([identity, one]) => [identity, { ...one, current: current.get(identity) }]));
  }

  /** Writes down what `settle` found, within the batch's transaction. */
  async write({ conflicts, settled, at }: Settlement, tx: StateTx | undefined): Promise<void> {
    const { store, marks, where } = this.#deps;
    if (conflicts.length > 0) await store.add(conflicts, tx);
    await marks.settle(where.route, settled, at, tx);
  }
}

const UNMARKED = { mark: undefined, settled: undefined };
const NOTHING: ReadonlyMap<string, Touched> = new Map();
