import type { DeadLetter } from "#apply/deadletter/records.ts";
import type { DeadLetterStore } from "#apply/deadletter/store.ts";
import type { LaneState } from "#apply/lanes/claims.ts";
import { Contended } from "#apply/lanes/laneTransaction.ts";
import type { Entry } from "#apply/plan/entry.ts";
import type { Writes } from "#apply/plan/plan.ts";
import { identityOf } from "#base/bson/identity.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { LogRecord, Namespace, WriteOps } from "#base/flow/types.ts";
import type { ClientSession } from "#io/mongo/connect.ts";
import { hasServerCode, ServerCode } from "#io/mongo/serverCodes.ts";
import { isIdCollision, isRejected, type MongoSink } from "#sink/mongo/mongoSink.ts";
import type { Way } from "#structure/build/makeWay.ts";
import { letterOf, reasonOf, withKnown } from "./laneLetters.ts";
import { type Batch, LaneMoves, type LaneMovesDeps } from "./laneMoves.ts";
import { LanePlanner, type LanePlannerDeps } from "./lanePlanner.ts";
import { LetterReplay } from "./letterReplay.ts";
import type { Lookup } from "./lookup.ts";
import { repairWrite } from "./repairWrite.ts";
import type { Identify, TargetCollation } from "./targetCollation.ts";

export type LaneWriterDeps = LaneMovesDeps &
  LanePlannerDeps &
  Readonly<{
    /** Source namespace of the lane's events. */
    ns: Namespace;
    sink: MongoSink;
    deadLetters: DeadLetterStore;
    /** What the target holds to be one document. */
    collation: TargetCollation;
    /** How updates without a document are completed; undefined applies their deltas. */
    lookup: Lookup | undefined;
    /**
     * Removes what ferry has built and what refuses a document; undefined where nothing of the kind refuses it.
     * `key`: of a document that is changed where it lies.
     */
    makeWay: (ops: WriteOps, key: Uint8Array | undefined) => Promise<Way>;
    /** What is left to do of inserts where some of the documents are there; see `settleInserts`. */
    settleInserts: (ops: WriteOps) => Promise<WriteOps>;
    onError: "dead-letter" | "stop";
    onDead: (letter: DeadLetter) => void;
    /** Called for copied documents that were there already: the sign of a second copy, or of a target that was not empty. */
    onCopyCollision: (entries: readonly Entry[]) => Promise<void>;
  }>;

/** Does the target have the document under another spelling of its `_id`, which no replacement may change? */
const isRespelled = (error: FerryError): boolean =>
  error.facts["stage"] === "updates" && hasServerCode(error, ServerCode.ImmutableField);

/** Pieces of this size are no longer small. */
const MAX_PIECE = 4096;

/** Write conflicts in a row after which a batch is made smaller. */
const PATIENCE = 3;

/** How whole documents are written; `look`: what is left to do of inserts after a look at what is there. */
type How = Writes | "look";

/** After a collision, this many batches go without trying bare inserts; doubled each time, at most 64, and 0 again after a clean insert. */
const MAX_PAUSE = 64;

/**
 * Writes one lane's batches: plan, transaction, and what to do when the target refuses a document. A refused batch is cut
 * in halves along the log's order, each with its own position, until the one event at fault stands alone; that one goes
 * to the dead letters and the lane goes on.
 */
export class LaneWriter {
  readonly moves: LaneMoves;
  readonly letters: LetterReplay;
  readonly #deps: LaneWriterDeps;
  readonly #planner: LanePlanner;
  readonly #held: Map<string, Uint8Array>;
  /** Under which identity the keys at hand go. */
  #identify: Identify = identityOf;
  #lookFor = 0;
  /** Is the batch at hand one that a look did not settle? */
  #replaces = false;
  #pause = 1;
  /** The record that was tried once more, since an index that refuses it had gone. */
  #triedAgain: LogRecord | undefined;
  /** Entries that go into one transaction while others write the same documents. */
  #atOnce = Number.POSITIVE_INFINITY;

  constructor(
    deps: LaneWriterDeps,
    lane: LaneState,
    session: ClientSession | undefined,
    held: Map<string, Uint8Array>,
  ) {
    this.#deps = deps;
    this.#held = held;
    this.#planner = new LanePlanner(deps);
    this.moves = new LaneMoves(deps, lane, session, this.#isHeld);
    this.letters = new LetterReplay({ ...deps, moves: this.moves, planner: this.#planner });
  }

  /** Where the lane stands: everything before this offset is on the target. */
  get state(): LaneState {
    return this.moves.state;
  }

  /** Writes a document again that is wrong on the target; see `repairWrite`. */
  repair(entry: Entry, within: Parameters<typeof repairWrite>[2]): Promise<string | undefined> {
    const { sink, drift } = this.#deps;
    return repairWrite({ moves: this.moves, planner: this.#planner, sink, drift, isHeld: this.#isHeld }, entry, within);
  }

  readonly #isHeld = (key: Uint8Array): boolean => this.#held.size > 0 && this.#held.has(this.#identify(key));

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
        await this.#planner.shaped(completed, entries.slice(from - taken, from)),
        next === undefined ? end : next.record.offset,
      );
      if (next === undefined) return;
    }
  }

  async #apply(entries: readonly Entry[], end: number): Promise<void> {
    if (entries.length > this.#atOnce) return this.#inPieces(entries, end);
    const mayWait = this.#held.size > 0 || entries.some(({ dead }) => dead !== undefined);
    this.#identify = mayWait ? await this.#deps.collation.identities(this.#held, entries) : identityOf;
    const how = this.#how;
    try {
      await this.#commit(entries, end, how);
      this.#afterSuccess(how);
    } catch (error) {
      if (error instanceof Contended) {
        this.#atOnce = entries.length >> 1;
        return this.#inPieces(entries, end);
      }
      if (!isRejected(error)) throw error;
      if (how !== "replace" && isIdCollision(error)) await this.#collided(entries, end, how, error);
      else await this.#divide(entries, end, error);
    }
  }

  get #how(): How {
    if (this.#lookFor === 0) return "insert";
    // Where the target has writers of its own, what is there may change behind a look.
    return this.#replaces || this.#deps.conflicts !== undefined ? "replace" : "look";
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

  #afterSuccess(how: How): void {
    if (how === "insert") this.#pause = 1;
    else this.#lookFor--;
    this.#replaces = false;
  }

  async #collided(entries: readonly Entry[], end: number, how: How, collision: FerryError): Promise<void> {
    if (how === "look") {
      this.#replaces = true; // one key twice, or somebody was faster
      return this.#apply(entries, end);
    }
    this.#lookFor = this.#pause;
    this.#pause = Math.min(MAX_PAUSE, this.#pause * 2);
    // Without transactions a batch may be replayed, and meets its own documents: that says nothing about the copy.
    // Nor does it where documents of others are to be expected.
    const tells = this.moves.isTransactional && this.#deps.conflicts === undefined;
    const copied = tells ? this.#planner.copied(entries, collision, this.#isHeld) : undefined;
    if (copied !== undefined) await this.#deps.onCopyCollision([copied]);
    await this.#apply(entries, end);
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
    const { rescue, sink, makeWay } = this.#deps;
    if (entry.event?.op === "patch" && rescue !== undefined) {
      const { completed } = await rescue.complete([entry], 0);
      await this.#apply(await this.#planner.shaped(completed, [entry]), end);
      return;
    }
    if (isRespelled(error) && entry.event?.op === "write" && (await this.#deps.collation.isSources())) {
      await this.#commit([entry], end, "anew");
      return;
    }
    const { ops } = await this.#planner.plan([entry], "replace", this.#isHeld);
    const way = await makeWay(ops, entry.event?.op === "patch" ? entry.event.key : undefined);
    // What is away may have gone since the refusal: then it is not in the way a second time.
    if (way === "removed" || (way === "away" && this.#triedAgain !== entry.record)) {
      this.#triedAgain = entry.record;
      return this.#apply([entry], end);
    }
    await this.#commit([{ ...entry, dead: await reasonOf(error, sink) }], end, "replace");
  }

  async #commit(entries: readonly Entry[], end: number, how: How): Promise<void> {
    const letters = await this.moves.move(
      entries,
      entries.length > 1 ? PATIENCE : Number.POSITIVE_INFINITY,
      (resolved) => this.#batch(resolved, end, how),
    );
    for (const letter of letters) {
      if (letter.identity !== null && letter.documentKey !== null) this.#held.set(letter.identity, letter.documentKey);
      this.#deps.onDead(letter);
    }
  }

  /** What a batch's transaction does. @throws FERRY_APPLY_DEAD_LETTER (onError: stop) */
  async #batch(entries: readonly Entry[], end: number, how: How): Promise<Batch> {
    const { sink, deadLetters, onError, ns, settleInserts } = this.#deps;
    const lane = this.moves.state;
    const plan = await this.#planner.plan(entries, how === "look" ? "insert" : how, this.#isHeld, this.#identify);
    const { dead, counts, filteredBy, at, logTimeMs } = plan;
    const ops = how === "look" ? await settleInserts(plan.ops) : plan.ops;
    const letters = dead.map((one) => letterOf(one, lane, ns, this.#identify));
    const [first] = letters;
    if (first !== undefined && onError === "stop") {
      throw new FerryError(
        "FERRY_APPLY_DEAD_LETTER",
        `${first.topic} [${first.partition}] offset ${first.offset}: ${first.code}: ${first.reason}`,
      );
    }
    const known = await deadLetters.known(letters);
    const fresh = letters.filter((letter) => !known.has(letter));
    return {
      letters,
      move: {
        offset: end,
        at: at > lane.at ? at : lane.at,
        logTimeMs: logTimeMs || lane.logTimeMs,
        // Without transactions a letter may be there because the last try ended before the books were written.
        ...withKnown(this.moves.isTransactional ? known.size : 0, { counts, filteredBy }),
      },
      body: async (session) => {
        await sink.write(ops, session);
        if (fresh.length > 0) await deadLetters.add(fresh, session);
      },
    };
  }
}
