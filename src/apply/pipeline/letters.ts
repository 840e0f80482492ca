import type { LetterBook } from "#apply/deadletter/letterBook.ts";
import { type DeadLetterRecord, identityText, isDue, whyOf } from "#apply/deadletter/letterRecords.ts";
import type { Claim } from "#apply/lanes/claims.ts";
import type { Entry } from "#apply/plan/entry.ts";
import type { Clock } from "#base/flow/clock.ts";
import { formatNamespace, type LogRecord, type Namespace } from "#base/flow/types.ts";
import type { Decoder } from "#io/wire/decode.ts";
import { gone, poison } from "./entries.ts";
import type { Lane } from "./lane.ts";
import type { LaneWriter } from "./laneWriter.ts";

export type LettersDeps = Readonly<{
  claim: Claim;
  /** Namespace of the topic. */
  ns: Namespace;
  deadLetters: LetterBook;
  decode: Decoder;
  /** clusterTime of the newest drop, begun or applied: what is older does not count any more. */
  dropAt: () => bigint;
  lanes: readonly Readonly<{ lane: Lane; writer: LaneWriter }>[];
  /** Which lane a document belongs to. */
  lane: (key: Uint8Array, lanes: number) => number;
  /** Identities of this partition that wait, with a key of each; shared with the writers. */
  held: Map<string, Uint8Array>;
  clock: Clock;
  /** Brings other decisions up to date before letters are replayed: the one that let them go was noted before. */
  refresh: () => Promise<void>;
}>;

/** Is it in the books? What was stored without a transaction may not be, until its lane has come past it once more. */
const isCounted = ({ offset }: DeadLetterRecord, { steps }: LaneWriter): boolean =>
  steps.isTransactional || Number(offset) < steps.state.offset;

const bytesOf = (value: DeadLetterRecord["documentKey"]): Uint8Array | null => value?.buffer ?? null;

/**
 * Carries out what operators decided on this partition's dead letters, and tries clashes again. It happens between two
 * batches of the lane that owns the key, each letter in a transaction of its own with the lane's epoch: exactly once, and
 * in the key's order.
 */
export class Letters {
  readonly #deps: LettersDeps;

  constructor(deps: LettersDeps) {
    this.#deps = deps;
  }

  /** One look; resolves when all that was decided by now is carried out. @throws FERRY_FENCED, FERRY_MONGO_* */
  async look(): Promise<void> {
    const { claim, deadLetters } = this.#deps;
    const due = await deadLetters.due(claim.route, claim.partition);
    if (due.length > 0) await this.#deps.refresh();
    const keyless = due.filter(({ identity }) => identity === null);
    const keyed = new Map(
      due.flatMap((letter) => (letter.identity === null ? [] : [[identityText(letter.identity), letter]])),
    );
    const first = this.#deps.lanes[0];
    if (keyless.length > 0 && first !== undefined)
      await first.lane.between(async () => {
        for (const letter of keyless) if (isCounted(letter, first.writer)) await this.#carryOut(letter, first.writer);
      });
    for (const [identity, letter] of keyed) {
      const owner = this.#ownerOf(letter);
      if (owner !== undefined) await owner.lane.between(() => this.#queue(identity, owner.writer));
    }
  }

  #ownerOf({ documentKey }: DeadLetterRecord): LettersDeps["lanes"][number] | undefined {
    const { lanes, lane } = this.#deps;
    const key = bytesOf(documentKey);
    return key === null ? undefined : lanes[lane(key, lanes.length)];
  }

  /** From the key's first letter on, as far as decisions go; what only waited behind them goes along. */
  async #queue(identity: string, writer: LaneWriter): Promise<void> {
    const { claim, deadLetters, held, clock } = this.#deps;
    for (let began = false; ; ) {
      const letters = await deadLetters.queue(claim.route, claim.partition, identity);
      if (letters.length === 0) {
        held.delete(identity);
        return;
      }
      for (const letter of letters) {
        const goesAlong = began && letter.code === "FERRY_APPLY_BEHIND";
        if (!isCounted(letter, writer) || (!isDue(letter, clock.now()) && !goesAlong)) return;
        if (!(await this.#carryOut(letter, writer))) return;
        began = true;
      }
    }
  }

  /** False where the letter stays. */
  async #carryOut(letter: DeadLetterRecord, writer: LaneWriter): Promise<boolean> {
    if (letter.state === "discard") {
      await writer.letters.discard(letter._id);
      return true;
    }
    const failed = await writer.letters.replay(letter._id, await this.#entry(letter));
    if (failed === undefined) return true;
    await this.#deps.deadLetters.again(letter, whyOf({ ...failed, reason: failed.detail }));
    return false;
  }

  /** The letter's record read once more, as the partition's reader would. */
  async #entry(letter: DeadLetterRecord): Promise<Entry> {
    const { deadLetters, decode, ns, dropAt } = this.#deps;
    const record: LogRecord = {
      key: bytesOf(letter.recordKey),
      value: await deadLetters.raw(letter._id),
      offset: Number(letter.offset),
      timestampMs: letter.logTime.getTime(),
    };
    const decoded = decode(record);
    if (decoded.poison !== undefined) return poison(record, "FERRY_APPLY_POISON", decoded.poison);
    const { event } = decoded;
    if (event.op !== "noop" && (event.ns.db !== ns.db || event.ns.coll !== ns.coll))
      return poison(record, "FERRY_APPLY_NAMESPACE", `the event belongs to ${formatNamespace(event.ns)}`);
    const isGone = event.at !== 0n && event.at <= dropAt();
    return { record, event: isGone ? gone(event) : event, dead: undefined };
  }
}
