import type { DeadReason, Entry } from "#apply/entry.ts";
import { keyOf } from "#apply/entry.ts";
import { type DeadEntry, type Plan, planBatch } from "#apply/plan.ts";
import { identityOf } from "#bson/identity.ts";
import type { DeadLetter } from "#deadletter/records.ts";
import type { DeadLetterStore } from "#deadletter/store.ts";
import { FerryError, isFerry } from "#errors/ferryError.ts";
import { type Namespace, NO_COUNTS } from "#flow/types.ts";
import type { LaneState } from "#lanes/laneStore.ts";
import {
  Contended,
  isRejected,
  type LaneMove,
  type LaneTransactionOptions,
  type LaneWork,
  writeLane,
} from "#lanes/laneTransaction.ts";
import type { ClientSession } from "#mongo/connect.ts";
import { isIdCollision, type MongoSink } from "#sink/mongoSink.ts";
import type { ConflictGate } from "./conflictGate.ts";
import type { DriftGate } from "./driftGate.ts";
import type { Lookup } from "./lookup.ts";
import type { Shape } from "./shape.ts";

export type LaneWriterDeps = LaneTransactionOptions &
  Readonly<{
    /** Source namespace of the lane's events. */
    ns: Namespace;
    sink: MongoSink;
    deadLetters: DeadLetterStore;
    /** How updates without a document are completed; undefined applies their deltas. */
    lookup: Lookup | undefined;
    /** Completes one event when its delta was refused; undefined where no source is given. */
    rescue: Lookup | undefined;
    /** Looks at each document's shape; undefined keeps no ledger. */
    drift: DriftGate | undefined;
    /** The route's filter; undefined leaves documents as they lie. */
    shape: Shape | undefined;
    /** Knows what others wrote on the target; undefined where the source owns whole documents. */
    conflicts: ConflictGate | undefined;
    onError: "dead-letter" | "stop";
    onDead: (letter: DeadLetter) => void;
    /** Called for copied documents that were there already: the sign of a second copy, or of a target that was not empty. */
    onCopyCollision: (entries: readonly Entry[]) => Promise<void>;
  }>;

/** What one transaction does, and which letters it stores. */
type Batch = Omit<LaneWork, "at"> & Readonly<{ letters: readonly DeadLetter[] }>;

/** Pieces of this size are no longer small. */
const MAX_PIECE = 4096;

/** Write conflicts in a row after which a batch is made smaller. */
const PATIENCE = 3;

/** After a collision, this many batches go without trying inserts; doubled each time, at most 64, and 0 again after a clean insert. */
const MAX_PAUSE = 64;

/**
 * Writes one lane's batches: plan, transaction, and what to do when the target refuses a document. A refused batch is cut
 * in halves along the log's order, each with its own position, until the one event at fault stands alone; that one goes
 * to the dead letters and the lane goes on.
 */
export class LaneWriter {
  readonly #deps: LaneWriterDeps;
  readonly #session: ClientSession | undefined;
  readonly #held: Set<string>;
  #lane: LaneState;
  #replaceFor = 0;
  #pause = 1;
  /** Entries that go into one transaction while others write the same documents. */
  #atOnce = Number.POSITIVE_INFINITY;
  /** The poll of the target's watch that knows this lane's last transaction. */
  #since = 0;

  constructor(deps: LaneWriterDeps, lane: LaneState, session: ClientSession | undefined, held: Set<string>) {
    this.#deps = deps;
    this.#lane = lane;
    this.#session = session;
    this.#held = held;
  }

  /** Where the lane stands: everything before this offset is on the target. */
  get state(): LaneState {
    return this.#lane;
  }

  /**
   * Writes entries (log order) and moves the lane to `end`. Resolves when durable.
   * @throws FERRY_FENCED, FERRY_APPLY_DEAD_LETTER (onError: stop), FERRY_MONGO_* that do not pass by themselves.
   */
  async write(entries: readonly Entry[], end: number): Promise<void> {
    const { lookup } = this.#deps;
    for (let from = 0; ; ) {
      const { completed, taken } =
        lookup === undefined
          ? { completed: entries.slice(from), taken: entries.length - from }
          : await lookup.complete(entries, from);
      from += taken;
      const next = entries[from];
      await this.#apply(
        await this.#shaped(completed, entries.slice(from - taken, from)),
        next === undefined ? end : next.record.offset,
      );
      if (next === undefined) return;
    }
  }

  /** What drift policy and filter make of entries that have their documents; `before`: as they were when the reader saw them. */
  async #shaped(entries: readonly Entry[], before: readonly Entry[]): Promise<readonly Entry[]> {
    const { drift } = this.#deps;
    if (drift !== undefined) for (const [i, entry] of entries.entries()) if (entry !== before[i]) drift.see(entry); // looked up since
    return this.#passed(entries);
  }

  async #passed(entries: readonly Entry[]): Promise<readonly Entry[]> {
    const { shape, drift } = this.#deps;
    const passed = drift === undefined ? entries : await drift.pass(entries);
    return shape === undefined ? passed : passed.map(shape);
  }

  async #apply(entries: readonly Entry[], end: number): Promise<void> {
    if (entries.length > this.#atOnce) return this.#inPieces(entries, end);
    const insertFirst = this.#replaceFor === 0;
    try {
      await this.#commit(entries, end, insertFirst);
      this.#afterSuccess(insertFirst);
    } catch (error) {
      if (error instanceof Contended) {
        this.#atOnce = entries.length >> 1;
        return this.#inPieces(entries, end);
      }
      if (!isRejected(error)) throw error;
      if (insertFirst && isIdCollision(error)) await this.#replace(entries, end, error);
      else await this.#divide(entries, end, error);
    }
  }

  /** One after the other, each with its own position; pieces grow again with every one that gets through. */
  async #inPieces(entries: readonly Entry[], end: number): Promise<void> {
    for (let from = 0; from < entries.length; ) {
      const to = Math.min(entries.length, from + this.#atOnce);
      await this.#apply(entries.slice(from, to), entries[to]?.record.offset ?? end);
      from = to;
      this.#atOnce = this.#atOnce >= MAX_PIECE ? Number.POSITIVE_INFINITY : this.#atOnce * 2;
    }
  }

  #afterSuccess(inserted: boolean): void {
    if (inserted) this.#pause = 1;
    else this.#replaceFor--;
  }

  async #replace(entries: readonly Entry[], end: number, collision: FerryError): Promise<void> {
    this.#replaceFor = this.#pause;
    this.#pause = Math.min(MAX_PAUSE, this.#pause * 2);
    // Without transactions a batch may be replayed, and meets its own documents: that says nothing about the copy.
    // Nor does it where documents of others are to be expected.
    const tells = this.#session !== undefined && this.#deps.conflicts === undefined;
    const copied = tells ? this.#copied(entries, collision) : undefined;
    if (copied !== undefined) await this.#deps.onCopyCollision([copied]);
    await this.#apply(entries, end);
  }

  /** The copied document that met its `_id`, if it was a copied one: a streamed insert over a copy is everyday life. */
  #copied(entries: readonly Entry[], collision: FerryError): Entry | undefined {
    const doc = this.#plan(entries, true).ops.inserts[Number(collision.facts["index"])];
    return entries.find(({ event }) => event?.op === "write" && event.doc === doc && event.origin === "copy");
  }

  readonly #isHeld = (key: Uint8Array): boolean => this.#held.size > 0 && this.#held.has(identityOf(key));

  #plan(entries: readonly Entry[], insertFirst: boolean, isHeld = this.#isHeld): Plan {
    return planBatch(entries, { insertFirst, isHeld });
  }

  /** Deltas that cannot be said with modifiers are completed from the source, where there is one. */
  async #planRescued(entries: readonly Entry[], insertFirst: boolean, isHeld = this.#isHeld): Promise<Plan> {
    const plan = this.#plan(entries, insertFirst, isHeld);
    const { rescue } = this.#deps;
    const unclear = plan.dead.filter(({ reason }) => reason.code === "FERRY_APPLY_DELTA").map(({ entry }) => entry);
    if (rescue === undefined || unclear.length === 0) return plan;
    const { completed, taken } = await rescue.complete(
      unclear.map((entry) => ({ ...entry, dead: undefined })),
      0,
    );
    const whole = await this.#shaped(completed, []);
    const better = new Map(unclear.slice(0, taken).map((entry, i) => [entry, whole[i] ?? entry]));
    return this.#planRescued(
      entries.map((entry) => better.get(entry) ?? entry),
      insertFirst,
      isHeld,
    );
  }

  async #divide(entries: readonly Entry[], end: number, error: FerryError): Promise<void> {
    const middle = entries.length >> 1;
    const later = entries[middle];
    if (later === undefined) throw error; // nothing to blame: the position itself was refused
    if (entries.length === 1) {
      await this.#setAside(later, end, error);
      return;
    }
    await this.#apply(entries.slice(0, middle), later.record.offset);
    await this.#apply(entries.slice(middle), end);
  }

  async #setAside(entry: Entry, end: number, error: FerryError): Promise<void> {
    const { rescue } = this.#deps;
    if (entry.event?.op === "patch" && rescue !== undefined) {
      const { completed } = await rescue.complete([entry], 0);
      await this.#apply(await this.#shaped(completed, [entry]), end);
      return;
    }
    await this.#commit([{ ...entry, dead: await this.#reasonOf(error) }], end, false);
  }

  async #commit(entries: readonly Entry[], end: number, insertFirst: boolean): Promise<void> {
    const letters = await this.#move(entries, entries.length > 1 ? PATIENCE : Number.POSITIVE_INFINITY, (resolved) =>
      this.#batch(resolved, end, insertFirst),
    );
    for (const letter of letters) {
      if (letter.identity !== null) this.#held.add(letter.identity);
      this.#deps.onDead(letter);
    }
  }

  /** What a batch's transaction does. @throws FERRY_APPLY_DEAD_LETTER (onError: stop) */
  async #batch(entries: readonly Entry[], end: number, insertFirst: boolean): Promise<Batch> {
    const { sink, deadLetters, onError } = this.#deps;
    const { ops, dead, counts, filteredBy, at, logTimeMs } = await this.#planRescued(entries, insertFirst);
    const letters = dead.map((one) => this.#letter(one));
    const [first] = letters;
    if (first !== undefined && onError === "stop") {
      throw new FerryError(
        "FERRY_APPLY_DEAD_LETTER",
        `${first.topic} [${first.partition}] offset ${first.offset}: ${first.code}: ${first.reason}`,
      );
    }
    const known = await deadLetters.known(letters);
    const fresh = letters.filter((letter) => !known.has(letter));
    const lane = this.#lane;
    return {
      letters,
      move: {
        offset: end,
        at: at > lane.at ? at : lane.at,
        logTimeMs: logTimeMs || lane.logTimeMs,
        ...this.#withKnown(known.size, { counts, filteredBy }),
      },
      body: async (session) => {
        await sink.write(ops, session);
        if (fresh.length > 0) await deadLetters.add(fresh, session);
      },
    };
  }

  /**
   * The books where some of the dead have their letter already: one letter, counted as dead once. Without transactions the
   * letter may be there because the last try ended before the books were written.
   */
  #withKnown(known: number, books: Pick<LaneMove, "counts" | "filteredBy">): Pick<LaneMove, "counts" | "filteredBy"> {
    if (known === 0 || this.#session === undefined) return books;
    const { counts, filteredBy } = books;
    return {
      counts: { ...counts, dead: counts.dead - known, filtered: counts.filtered + known },
      filteredBy: { ...filteredBy, "dead-already": known },
    };
  }

  /**
   * Applies a dead letter's entry and removes the letter, in one transaction. Answers with the reason where it is refused
   * again. @throws FERRY_FENCED, FERRY_MONGO_*
   */
  async replay(id: string, entry: Entry): Promise<DeadReason | undefined> {
    const { lookup, sink, drift } = this.#deps;
    const whole = lookup === undefined ? [entry] : (await lookup.complete([entry], 0)).completed;
    for (const entry of whole) drift?.see(entry, true);
    const entries = await this.#passed(whole);
    try {
      await this.#resolve(id, entries, async (resolved) => {
        const { ops, dead, counts, filteredBy } = await this.#planRescued(resolved, false, () => false);
        const [still] = dead;
        if (still !== undefined) throw new StillDead(still.reason);
        const moved = { counts: { ...counts, received: 0, dead: -1 }, filteredBy };
        return { ...moved, body: (session) => sink.write(ops, session) };
      });
      return undefined;
    } catch (error) {
      if (error instanceof StillDead) return error.reason;
      if (!isRejected(error)) throw error;
      return this.#reasonOf(error);
    }
  }

  /** Removes a dead letter for good; it stays in the books as dead. @throws FERRY_FENCED, FERRY_MONGO_* */
  async discard(id: string): Promise<void> {
    await this.#resolve(id, [], async () => ({ counts: NO_COUNTS, filteredBy: {}, body: async () => undefined }));
  }

  async #resolve(
    id: string,
    entries: readonly Entry[],
    prepare: (entries: readonly Entry[]) => Promise<Pick<Batch, "body"> & Pick<LaneMove, "counts" | "filteredBy">>,
  ): Promise<void> {
    const { deadLetters } = this.#deps;
    try {
      await this.#move(entries, Number.POSITIVE_INFINITY, async (resolved) => {
        const { counts, filteredBy, body } = await prepare(resolved);
        return {
          letters: [],
          move: { ...this.#standing(), counts, filteredBy },
          body: async (session) => {
            // A commit whose outcome was unknown is tried again: then the letter is gone, and its effect is there.
            if (session !== undefined && !(await deadLetters.remove(id, session))) throw new LetterGone();
            await body(session);
            if (session === undefined) await deadLetters.remove(id, undefined);
          },
        };
      });
    } catch (error) {
      if (!(error instanceof LetterGone)) throw error;
    }
  }

  /** A move that leaves the lane where it is. */
  #standing(): LaneMove {
    const { offset, at, logTimeMs } = this.#lane;
    return { offset, at, logTimeMs, counts: NO_COUNTS, filteredBy: {} };
  }

  /**
   * One transaction of the lane, with what is to be written to the drift ledger. Where the target has other writers each try
   * is prepared anew, as of the time that it reads.
   */
  async #move(
    entries: readonly Entry[],
    patience: number,
    prepare: (entries: readonly Entry[]) => Promise<Batch>,
  ): Promise<readonly DeadLetter[]> {
    const { drift, clock, conflicts } = this.#deps;
    const once = conflicts === undefined ? await prepare(entries) : undefined;
    const changes = drift?.take(entries, clock.now()) ?? [];
    let batch: Batch | undefined;
    let written = false;
    let tries = 0;
    const work = async (): Promise<LaneWork> => {
      // Whatever made the last try fail is known to a poll that is sent from now on.
      if (tries++ > 0) this.#since = conflicts?.now() ?? 0;
      const settlement = await conflicts?.settle(entries, this.#since, this.#isHeld);
      batch = once ?? (await prepare(settlement?.entries ?? entries));
      const { move, body } = batch;
      return {
        move,
        at: settlement?.at,
        body: async (session) => {
          await body(session);
          if (settlement !== undefined) await conflicts?.write(settlement, session);
          if (changes.length > 0) await drift?.write(changes, session);
        },
      };
    };
    try {
      this.#lane = await writeLane(this.#lane, this.#session, work, patience, this.#deps);
      written = true;
    } finally {
      this.#since = conflicts?.now() ?? 0;
      drift?.settle(changes, written);
    }
    return batch?.letters ?? [];
  }

  /** Writes counts of the drift ledger that no batch has taken along. @throws FERRY_FENCED, FERRY_MONGO_* */
  async saveDrift(): Promise<void> {
    const { drift, clock } = this.#deps;
    if (drift?.isDue(clock.now()) !== true) return;
    await this.#move([], Number.POSITIVE_INFINITY, async () => ({
      letters: [],
      move: this.#standing(),
      body: async () => undefined,
    }));
  }

  async #reasonOf(error: FerryError): Promise<DeadReason> {
    const serverCode = error.facts["serverCode"] as number | undefined;
    return { code: error.code, detail: error.detail, serverCode, clash: await this.#deps.sink.clash(error) };
  }

  #letter({ entry, reason }: DeadEntry): DeadLetter {
    const key = keyOf(entry) ?? null;
    return {
      route: this.#lane.route,
      topic: this.#lane.topic,
      partition: this.#lane.partition,
      offset: entry.record.offset,
      lane: this.#lane.id,
      ns: `${this.#deps.ns.db}.${this.#deps.ns.coll}`,
      identity: key === null ? null : identityOf(key),
      documentKey: key,
      code: reason.code,
      reason: reason.detail,
      serverCode: reason.serverCode,
      clash: reason.clash,
      recordKey: entry.record.key,
      raw: entry.record.value,
      logTimeMs: entry.record.timestampMs,
    };
  }
}

class LetterGone extends Error {}

class StillDead extends Error {
  readonly reason: DeadReason;

  constructor(reason: DeadReason) {
    super(reason.detail);
    this.reason = reason;
  }
}

/** Was the lane taken over by another worker? */
export const isFenced = (error: unknown): boolean => isFerry(error, "FERRY_FENCED");
