import type { DeadReason, Entry } from "#apply/entry.ts";
import { keyOf } from "#apply/entry.ts";
import { type DeadEntry, type Plan, planBatch } from "#apply/plan.ts";
import { identityOf } from "#bson/identity.ts";
import type { DeadLetter } from "#deadletter/records.ts";
import type { DeadLetterStore } from "#deadletter/store.ts";
import { FerryError, isFerry } from "#errors/ferryError.ts";
import { type Counts, type Namespace, NO_COUNTS } from "#flow/types.ts";
import type { LaneState } from "#lanes/laneStore.ts";
import { isRejected, type LaneMove, type LaneTransactionOptions, writeLane } from "#lanes/laneTransaction.ts";
import type { ClientSession } from "#mongo/connect.ts";
import { isIdCollision, type MongoSink } from "#sink/mongoSink.ts";
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
    onError: "dead-letter" | "stop";
    onDead: (letter: DeadLetter) => void;
    /** Called for copied documents that were there already: the sign of a second copy, or of a target that was not empty. */
    onCopyCollision: (entries: readonly Entry[]) => Promise<void>;
  }>;

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
    const { shape, drift } = this.#deps;
    if (drift !== undefined) for (const [i, entry] of entries.entries()) if (entry !== before[i]) drift.see(entry); // looked up since
    const passed = drift === undefined ? entries : await drift.pass(entries);
    return shape === undefined ? passed : passed.map(shape);
  }

  async #apply(entries: readonly Entry[], end: number): Promise<void> {
    const insertFirst = this.#replaceFor === 0;
    try {
      await this.#commit(entries, end, insertFirst);
      this.#afterSuccess(insertFirst);
    } catch (error) {
      if (!isRejected(error)) throw error;
      if (insertFirst && isIdCollision(error)) await this.#replace(entries, end, error);
      else await this.#divide(entries, end, error);
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
    const copied = this.#session === undefined ? undefined : this.#copied(entries, collision);
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
    await this.#commit([{ ...entry, dead: reasonOf(error) }], end, false);
  }

  async #commit(entries: readonly Entry[], end: number, insertFirst: boolean): Promise<void> {
    const { sink, deadLetters, onError, onDead } = this.#deps;
    const plan = await this.#planRescued(entries, insertFirst);
    const letters = plan.dead.map((dead) => this.#letter(dead));
    const [first] = letters;
    if (first !== undefined && onError === "stop") {
      throw new FerryError(
        "FERRY_APPLY_DEAD_LETTER",
        `${first.topic} [${first.partition}] offset ${first.offset}: ${first.code}: ${first.reason}`,
      );
    }
    const { counts, at, logTimeMs } = plan;
    const move = {
      offset: end,
      at: at > this.#lane.at ? at : this.#lane.at,
      logTimeMs: logTimeMs || this.#lane.logTimeMs,
      counts,
    };
    await this.#move(move, entries, async (session) => {
      await sink.write(plan.ops, session);
      if (letters.length > 0) await deadLetters.add(letters, session);
    });
    for (const letter of letters) {
      if (letter.identity !== null) this.#held.add(letter.identity);
      onDead(letter);
    }
  }

  /**
   * Applies a dead letter's entry and removes the letter, in one transaction. Answers with the reason where it is refused
   * again. @throws FERRY_FENCED, FERRY_MONGO_*
   */
  async replay(id: string, entry: Entry): Promise<DeadReason | undefined> {
    const { lookup, sink } = this.#deps;
    const whole = lookup === undefined ? [entry] : (await lookup.complete([entry], 0)).completed;
    const plan = await this.#planRescued(await this.#shaped(whole, []), false, () => false);
    const [still] = plan.dead;
    if (still !== undefined) return still.reason;
    try {
      await this.#resolve(id, { ...plan.counts, received: 0, dead: -1 }, (session) => sink.write(plan.ops, session));
      return undefined;
    } catch (error) {
      if (!isRejected(error)) throw error;
      return reasonOf(error);
    }
  }

  /** Removes a dead letter for good; it stays in the books as dead. @throws FERRY_FENCED, FERRY_MONGO_* */
  async discard(id: string): Promise<void> {
    await this.#resolve(id, NO_COUNTS, async () => undefined);
  }

  async #resolve(
    id: string,
    counts: Counts,
    work: (session: ClientSession | undefined) => Promise<void>,
  ): Promise<void> {
    const { deadLetters } = this.#deps;
    const { offset, at, logTimeMs } = this.#lane;
    const body = async (session: ClientSession | undefined): Promise<void> => {
      // A commit whose outcome was unknown is tried again: then the letter is gone, and its effect is there.
      if (session !== undefined && !(await deadLetters.remove(id, session))) throw new LetterGone();
      await work(session);
      if (session === undefined) await deadLetters.remove(id, undefined);
    };
    try {
      await this.#move({ offset, at, logTimeMs, counts }, [], body);
    } catch (error) {
      if (!(error instanceof LetterGone)) throw error;
    }
  }

  /** One transaction of the lane, with what is to be written to the drift ledger. */
  async #move(
    move: LaneMove,
    entries: readonly Entry[],
    body: (session: ClientSession | undefined) => Promise<void>,
  ): Promise<void> {
    const { drift, clock } = this.#deps;
    const changes = drift?.take(entries, clock.now()) ?? [];
    let written = false;
    try {
      this.#lane = await writeLane(
        this.#lane,
        this.#session,
        move,
        async (session) => {
          await body(session);
          if (changes.length > 0) await drift?.write(changes, session);
        },
        this.#deps,
      );
      written = true;
    } finally {
      drift?.settle(changes, written);
    }
  }

  /** Writes counts of the drift ledger that no batch has taken along. @throws FERRY_FENCED, FERRY_MONGO_* */
  async saveDrift(): Promise<void> {
    const { drift, clock } = this.#deps;
    if (drift?.isDue(clock.now()) !== true) return;
    const { offset, at, logTimeMs } = this.#lane;
    await this.#move({ offset, at, logTimeMs, counts: NO_COUNTS }, [], async () => undefined);
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
      recordKey: entry.record.key,
      raw: entry.record.value,
      logTimeMs: entry.record.timestampMs,
    };
  }
}

const reasonOf = (error: FerryError): DeadReason => ({
  code: error.code,
  detail: error.detail,
  serverCode: error.facts["serverCode"] as number | undefined,
});

class LetterGone extends Error {}

/** Was the lane taken over by another worker? */
export const isFenced = (error: unknown): boolean => isFerry(error, "FERRY_FENCED");
