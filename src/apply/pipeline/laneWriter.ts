import type { LetterBook } from "#apply/deadletter/letterBook.ts";
import type { DeadLetter } from "#apply/deadletter/letterRecords.ts";
import type { LaneState } from "#apply/lanes/claims.ts";
import { Contended } from "#apply/lanes/laneCommit.ts";
import type { Entry } from "#apply/plan/entry.ts";
import type { Writes } from "#apply/plan/plan.ts";
import { identityOf } from "#base/bson/identity.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import type { LogRecord, Namespace, TargetOp } from "#base/flow/types.ts";
import { isOfDocument, type Refusal } from "#sink/sink.ts";
import type { Way } from "#structure/build/makeWay.ts";
import { letterOf, reasonOf, withKnown } from "./laneLetters.ts";
import { LaneSteps, type LaneStepsDeps, type Planned } from "./laneSteps.ts";
import { LetterReplay } from "./letterReplay.ts";
import { repairWrite } from "./repairWrite.ts";
import { withStoredLetters } from "./storedLetters.ts";
import type { Identify, KeyRule } from "./targetCollation.ts";

export type LaneWriterDeps = LaneStepsDeps &
  Readonly<{
    /** Source namespace of the lane's events. */
    ns: Namespace;
    deadLetters: LetterBook;
    /** What the target holds to be one document. */
    collation: KeyRule;
    /**
     * Removes what ferry has built and what refuses a document; undefined where nothing of the kind refuses it.
     * `key`: of a document that is changed where it lies.
     */
    makeWay: (ops: readonly TargetOp[], key: Uint8Array | undefined) => Promise<Way>;
    /** What is left to do of inserts where some of the documents are there; see `settleInserts`. */
    settleInserts: (ops: readonly TargetOp[]) => Promise<readonly TargetOp[]>;
    onError: "dead-letter" | "stop";
    onDead: (letter: DeadLetter) => void;
    /** Called for copied documents that were there already: the sign of a second copy, or of a target that was not empty. */
    onCopyCollision: (entries: readonly Entry[]) => Promise<void>;
  }>;

/** Pieces of this size are no longer small. */
const MAX_PIECE = 4096;

/** An index that takes longer to be built leaves what it refuses to the dead letters, ms; and how often it is tried. */
const BUILDING_MS = 60_000;
const LOOK_MS = 50;

/** Write conflicts in a row after which a batch is made smaller. */
const PATIENCE = 3;

/** How whole documents are written; `look`: what is left to do of inserts after a look at what is there. */
type How = Writes | "look";

/** After a collision, this many batches go without trying bare inserts; doubled each time, at most 64, and 0 again after a clean insert. */
const MAX_PAUSE = 64;

/**
 * Writes one lane's batches, and decides what to do when the target refuses a document. A refused batch is cut in halves along
 * the log's order, each with its own position, until the one event at fault stands alone; that one goes to the dead letters and
 * the lane goes on. What is done with each piece stands in `laneSteps.ts`.
 */
export class LaneWriter {
  readonly steps: LaneSteps;
  readonly letters: LetterReplay;
  readonly #deps: LaneWriterDeps;
  readonly #held: Map<string, Uint8Array>;
  /** Under which identity the keys at hand go. */
  #identify: Identify = identityOf;
  #lookFor = 0;
  /** Is the batch at hand one that a look did not settle? */
  #replaces = false;
  #pause = 1;
  /** The record that was tried once more, since an index that refuses it had gone or is being built; and since when. */
  #triedAgain: Readonly<{ record: LogRecord; sinceMs: number }> | undefined;
  /** Entries that go into one transaction while others write the same documents. */
  #atOnce = Number.POSITIVE_INFINITY;

  /** @param held identities of the partition that wait in the dead letters, with a key of each; shared by its lanes */
  constructor(deps: LaneWriterDeps, lane: LaneState, held: Map<string, Uint8Array>) {
    this.#deps = deps;
    this.#held = held;
    this.steps = new LaneSteps(deps, lane, this.#isHeld);
    const { sink, deadLetters } = deps;
    this.letters = new LetterReplay({ steps: this.steps, sink, deadLetters });
  }

  /** Where the lane stands: everything before this offset is on the target. */
  get state(): LaneState {
    return this.steps.state;
  }

  /** Writes a document again that is wrong on the target; see `repairWrite`. */
  repair(entry: Entry, within: Parameters<typeof repairWrite>[2]): Promise<string | undefined> {
    const { steps } = this;
    return repairWrite({ steps, sink: this.#deps.sink, isHeld: this.#isHeld }, entry, within);
  }

  readonly #isHeld = (key: Uint8Array): boolean => this.#held.size > 0 && this.#held.has(this.#identify(key));

  /**
   * Writes entries (log order) and moves the lane to `end`. Resolves when durable.
   * @throws FERRY_FENCED, FERRY_APPLY_DEAD_LETTER (onError: stop), FERRY_MONGO_* that do not pass by themselves.
   */
  async write(entries: readonly Entry[], end: number): Promise<void> {
    for (let from = 0; ; ) {
      const { ready, taken } = await this.steps.ready(entries, from);
      const seen = entries.slice(from, from + taken);
      from += taken;
      const next = entries[from];
      await this.#apply(await this.#withStored(ready, seen), next === undefined ? end : next.record.offset);
      if (next === undefined) return;
    }
  }

  async #withStored(ready: readonly Entry[], seen: readonly Entry[]): Promise<readonly Entry[]> {
    if (this.steps.isTransactional || this.#held.size === 0) return ready;
    const { ns, deadLetters } = this.#deps;
    return withStoredLetters(ready, seen, { lane: this.state, ns, deadLetters });
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
      const refusal = this.#deps.sink.refusal(error);
      if (!isFerry(error) || !isOfDocument(refusal)) throw error;
      if (how !== "replace" && refusal.kind === "exists") await this.#collided(entries, end, how, refusal.doc);
      else await this.#divide(entries, end, error, refusal);
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

  async #collided(entries: readonly Entry[], end: number, how: How, doc: Uint8Array | undefined): Promise<void> {
    if (how === "look") {
      this.#replaces = true; // one key twice, or another writer was faster
      return this.#apply(entries, end);
    }
    this.#lookFor = this.#pause;
    this.#pause = Math.min(MAX_PAUSE, this.#pause * 2);
    // Without transactions a batch may be replayed, and meets its own documents: that says nothing about the copy.
    // Nor does it where documents of others are to be expected.
    const tells = this.steps.isTransactional && this.#deps.conflicts === undefined;
    const copied = tells ? copiedWith(entries, doc) : undefined;
    if (copied !== undefined) await this.#deps.onCopyCollision([copied]);
    await this.#apply(entries, end);
  }

  async #divide(entries: readonly Entry[], end: number, error: FerryError, refusal: Refusal): Promise<void> {
    const middle = entries.length >> 1;
    const later = entries[middle];
    if (later === undefined) throw error; // nothing to blame: the position itself was refused
    if (entries.length === 1) {
      await this.#setAside(later, end, error, refusal);
      return;
    }
    await this.#apply(entries.slice(0, middle), later.record.offset);
    await this.#apply(entries.slice(middle), end);
  }

  async #setAside(entry: Entry, end: number, error: FerryError, refusal: Refusal): Promise<void> {
    const { sink, makeWay } = this.#deps;
    const whole = entry.event?.op === "patch" ? await this.steps.readyWhole(entry) : undefined;
    if (whole !== undefined) return this.#apply(whole, end);
    if (refusal.kind === "respelled" && entry.event?.op === "write" && (await this.#deps.collation.isSources())) {
      await this.#commit([entry], end, "recreate");
      return;
    }
    const { ops } = await this.steps.plan([entry], "replace", this.#isHeld);
    const way = await makeWay(ops, entry.event?.op === "patch" ? entry.event.key : undefined);
    if (way === "removed" || (await this.#mayPass(way, entry.record))) return this.#apply([entry], end);
    await this.#commit([{ ...entry, dead: await reasonOf(error, sink) }], end, "replace");
  }

  /**
   * What is away may have gone since the refusal: then it is not in the way a second time. What is being built is waited for.
   */
  async #mayPass(way: Way, record: LogRecord): Promise<boolean> {
    const { clock } = this.#deps;
    const isFirst = this.#triedAgain?.record !== record;
    if (isFirst) this.#triedAgain = { record, sinceMs: clock.now() };
    if (way === "away") return isFirst;
    if (way !== "building" || clock.now() - (this.#triedAgain?.sinceMs ?? 0) > BUILDING_MS) return false;
    await clock.sleep(LOOK_MS);
    return true;
  }

  async #commit(entries: readonly Entry[], end: number, how: How): Promise<void> {
    let letters: readonly DeadLetter[] = [];
    await this.steps.commit(entries, entries.length > 1 ? PATIENCE : Number.POSITIVE_INFINITY, async (settled) => {
      const batch = await this.#plan(settled, end, how);
      letters = batch.stored;
      return batch;
    });
    for (const letter of letters) {
      if (letter.identity !== null && letter.documentKey !== null) this.#held.set(letter.identity, letter.documentKey);
      this.#deps.onDead(letter);
    }
  }

  /** @throws FERRY_APPLY_DEAD_LETTER (onError: stop) */
  async #plan(entries: readonly Entry[], end: number, how: How): Promise<Planned & { stored: readonly DeadLetter[] }> {
    const { deadLetters, onError, ns, settleInserts } = this.#deps;
    const lane = this.steps.state;
    const plan = await this.steps.plan(entries, how === "look" ? "insert" : how, this.#isHeld, this.#identify);
    const { dead, counts, filteredBy, at, logTimeMs } = plan;
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
      stored: letters,
      move: {
        offset: end,
        at: at > lane.at ? at : lane.at,
        logTimeMs: logTimeMs || lane.logTimeMs,
        // Without transactions a letter may be there because the last try ended before the books were written.
        ...withKnown(this.steps.isTransactional ? known.size : 0, { counts, filteredBy }),
      },
      ops: how === "look" ? await settleInserts(plan.ops) : plan.ops,
      note: async (tx) => {
        if (fresh.length > 0) await deadLetters.add(fresh, tx);
      },
    };
  }
}

/** The copied document that met its `_id`, if it was a copied one: a streamed insert over a copy is expected. */
const copiedWith = (entries: readonly Entry[], doc: Uint8Array | undefined): Entry | undefined =>
  entries.find(({ event }) => event?.op === "write" && event.doc === doc && event.origin === "copy");
