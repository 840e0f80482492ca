import type { Long } from "bson";
import type { LetterBook } from "#apply/deadletter/letterBook.ts";
import {
  type DeadLetter,
  type DeadLetterRecord,
  identityText,
  isDue,
  type LetterState,
  letterId,
  nextTry,
  toRecord,
  type Why,
} from "#apply/deadletter/letterRecords.ts";
import type { LaneState } from "#apply/lanes/claims.ts";
import type { LaneMove, LanePositions } from "#apply/lanes/laneCommit.ts";
import { isBeforeMove, requireBalance } from "#apply/lanes/lanePositions.ts";
import { partitionId } from "#apply/lanes/laneRecords.ts";
import type { Clock } from "#base/flow/clock.ts";
import type { StateTx } from "#base/flow/stateTx.ts";
import type { Counts } from "#base/flow/types.ts";
import type { MemoryClient } from "./database.ts";

const added = (books: Counts, batch: Counts): Counts => ({
  received: books.received + batch.received,
  applied: books.applied + batch.applied,
  superseded: books.superseded + batch.superseded,
  filtered: books.filtered + batch.filtered,
  dead: books.dead + batch.dead,
});

export const laneKey = (id: string): string => `lanes ${id}`;

/** Lane records in memory; unlike the claim's, their counts are the lane's books. */
export class MemoryPositions implements LanePositions {
  readonly #client: MemoryClient;

  constructor(client: MemoryClient) {
    this.#client = client;
  }

  move(lane: LaneState, move: LaneMove, tx: StateTx | undefined): Promise<boolean> {
    requireBalance(lane, move);
    return this.#client.update<LaneState, boolean>(laneKey(lane.id), tx, (record) => {
      if (record === undefined || !isBeforeMove(lane, move, record)) return [record, false];
      const { offset, at, logTimeMs } = move;
      return [{ ...record, offset, at, logTimeMs, counts: added(record.counts, move.counts) }, true];
    });
  }

  async isBefore(lane: LaneState, move: LaneMove): Promise<boolean> {
    return isBeforeMove(lane, move, await this.#client.get<LaneState>(laneKey(lane.id)));
  }
}

const byOffset = (a: DeadLetterRecord, b: DeadLetterRecord): number => Number(a.offset) - Number(b.offset);

/** Dead letters in memory. */
export class MemoryLetters implements LetterBook {
  readonly #client: MemoryClient;
  readonly #clock: Clock;

  constructor(client: MemoryClient, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  async add(letters: readonly DeadLetter[], tx: StateTx | undefined): Promise<void> {
    for (const letter of letters) {
      const retryAt = nextTry(1, letter.serverCode ?? null, this.#clock.now());
      await this.#client.put<DeadLetterRecord>(`letters ${letterId(letter)}`, { ...toRecord(letter, 0), retryAt }, tx);
    }
  }

  async known(letters: readonly DeadLetter[]): Promise<ReadonlySet<DeadLetter>> {
    const known = new Set<DeadLetter>();
    for (const letter of letters) {
      const found = await this.#client.get<DeadLetterRecord>(`letters ${letterId(letter)}`);
      if (found?.logTime.getTime() === letter.logTimeMs) known.add(letter);
    }
    return known;
  }

  remove(id: string, tx: StateTx | undefined): Promise<boolean> {
    return this.#client.update<DeadLetterRecord, boolean>(`letters ${id}`, tx, (now) => [undefined, now !== undefined]);
  }

  again({ _id, state, attempts }: DeadLetterRecord, why: Why): Promise<void> {
    return this.#client.update<DeadLetterRecord, void>(`letters ${_id}`, undefined, (now) => {
      if (now === undefined) return [undefined, undefined];
      const retryAt = nextTry(attempts + 1, why.serverCode, this.#clock.now());
      const met = { ...now, ...why, retryAt, attempts: now.attempts + 1 };
      return [now.state === state ? { ...met, state: "waiting" } : met, undefined];
    });
  }

  /** All of a partition, in order. */
  async of(route: string, partition: number): Promise<readonly DeadLetterRecord[]> {
    const found = await this.#client.all<DeadLetterRecord>(`letters ${partitionId(route, partition)}/`);
    return [...found.values()].sort(byOffset);
  }

  async held(route: string, partition: number): Promise<Map<string, Uint8Array>> {
    const waiting = await this.of(route, partition);
    return new Map(
      waiting.flatMap(({ identity, documentKey }) =>
        identity === null || documentKey === null ? [] : [[identityText(identity), documentKey.buffer] as const],
      ),
    );
  }

  async due(route: string, partition: number): Promise<readonly DeadLetterRecord[]> {
    return (await this.of(route, partition)).filter((letter) => isDue(letter, this.#clock.now()));
  }

  async queue(route: string, partition: number, wanted: string): Promise<readonly DeadLetterRecord[]> {
    const all = await this.of(route, partition);
    return all.filter(({ identity }) => identity !== null && identityText(identity) === wanted);
  }

  async raw(id: string): Promise<Uint8Array | null> {
    return (await this.#client.get<DeadLetterRecord>(`letters ${id}`))?.raw?.buffer ?? null;
  }

  /** An operator's decision on a letter that waits for one. */
  decide(id: string, state: LetterState): Promise<void> {
    return this.#client.update<DeadLetterRecord, void>(`letters ${id}`, undefined, (now) => [
      now?.state === "waiting" ? { ...now, state } : now,
      undefined,
    ]);
  }
}

/** The lanes' books and places as they stand. */
export const lanesOf = async (client: MemoryClient, route: string): Promise<readonly LaneState[]> =>
  [...(await client.all<LaneState>(laneKey(partitionId(route, 0)))).values()].sort((a, b) => a.slice - b.slice);

/** Offsets are numbers everywhere but in letters' records. */
export const offsetOf = ({ offset }: Readonly<{ offset: Long }>): number => Number(offset);
