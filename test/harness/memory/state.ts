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
import type { Claim, LaneState } from "#apply/lanes/claims.ts";
import type { LaneMove, LanePositions } from "#apply/lanes/laneCommit.ts";
import { isBeforeMove, requireBalance } from "#apply/lanes/lanePositions.ts";
import { laneId, partitionId } from "#apply/lanes/laneRecords.ts";
import type { Clock } from "#base/flow/clock.ts";
import type { StateTx } from "#base/flow/stateTx.ts";
import { type Counts, NO_COUNTS } from "#base/flow/types.ts";
import type { MemoryClient, MemorySession } from "./database.ts";

const added = (books: Counts, batch: Counts): Counts => ({
  received: books.received + batch.received,
  applied: books.applied + batch.applied,
  superseded: books.superseded + batch.superseded,
  filtered: books.filtered + batch.filtered,
  dead: books.dead + batch.dead,
});

const laneKey = (id: string): string => `lanes ${id}`;

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

/** Who has a partition, in memory. */
export type MemoryPartition = Readonly<{
  epoch: number;
  owner: string | null;
  slices: number;
  sessions: readonly MemorySession[];
  dropAt: bigint;
  switchedAt?: bigint;
}>;

const NEW: MemoryPartition = { epoch: 0, owner: null, slices: 0, sessions: [], dropAt: 0n };

/** Takes partitions over in the steps of `Claims`, and gives them back. */
export class MemoryClaims {
  readonly #client: MemoryClient;
  readonly #workerId: string;
  readonly #transactional: boolean;

  constructor(client: MemoryClient, workerId: string, transactional: boolean) {
    this.#client = client;
    this.#workerId = workerId;
    this.#transactional = transactional;
  }

  /** @param isExpired does a lease that another has count as run out? Undefined where another process has it, or was faster. */
  async claim(route: string, topic: string, wanted: number, isExpired: boolean): Promise<Claim | undefined> {
    const key = `partitions ${partitionId(route, 0)}`;
    const former = (await this.#client.get<MemoryPartition>(key)) ?? { ...NEW, slices: wanted };
    // What it owns by the record only, since a claim of its own was cut off, runs out as well.
    if (former.owner !== null && former.owner !== this.#workerId && !isExpired) return undefined;
    for (const session of former.sessions) session.kill();
    const count = this.#transactional ? Math.max(former.slices, wanted) : 0;
    const sessions = Array.from({ length: count }, () => this.#client.session());
    const epoch = former.epoch + 1;
    const current = await this.#client.update<MemoryPartition, number | undefined>(key, undefined, (now = former) =>
      now.epoch === former.epoch ? [{ ...now, epoch, owner: this.#workerId, sessions }, now.slices] : [now, undefined],
    );
    if (current === undefined) return undefined;
    const lanes = await this.#lanes(route, topic, epoch, { current, wanted });
    if (lanes === undefined) return undefined;
    const { dropAt = 0n, switchedAt } = (await this.#client.get<MemoryPartition>(key)) ?? {};
    const rest = { topicId: undefined, copyAt: 0n, dropAt, droppingAt: 0n, switchedAt };
    return { route, topic, partition: 0, epoch, lanes, sessions, ...rest };
  }

  /** Takes the lanes over as they are; keys are spread over another number of them only while all stand at one position. */
  async #lanes(
    route: string,
    topic: string,
    epoch: number,
    { current, wanted }: Readonly<{ current: number; wanted: number }>,
  ): Promise<readonly LaneState[] | undefined> {
    const fence = async (slices: number, offset?: number): Promise<readonly LaneState[] | undefined> => {
      const lanes: LaneState[] = [];
      for (let slice = 0; slice < slices; slice++) {
        const id = laneId(route, 0, slice);
        const fresh = {
          id,
          route,
          topic,
          partition: 0,
          slice,
          epoch,
          offset: 0,
          at: 0n,
          logTimeMs: 0,
          counts: NO_COUNTS,
        };
        const lane = await this.#client.update<LaneState, LaneState | undefined>(laneKey(id), undefined, (now) => {
          if (now !== undefined && now.epoch > epoch) return [now, undefined];
          const mine = { ...(now ?? fresh), epoch };
          const placed = offset === undefined ? mine : { ...mine, offset };
          return [placed, placed];
        });
        if (lane === undefined) return undefined;
        lanes.push(lane);
      }
      return lanes;
    };
    const lanes = await fence(current);
    const [first] = lanes ?? [];
    if (first === undefined || current === wanted || lanes?.some(({ offset }) => offset !== first.offset)) return lanes;
    const spread = await fence(wanted, first.offset);
    const noted = await this.#client.update<MemoryPartition, boolean>(
      `partitions ${partitionId(route, 0)}`,
      undefined,
      (now) => (now?.epoch === epoch ? [{ ...now, slices: wanted }, true] : [now, false]),
    );
    return noted ? spread : undefined;
  }

  async release({ route, epoch, sessions }: Claim): Promise<void> {
    await Promise.all(sessions.map((session) => session.end()));
    await this.#client.update<MemoryPartition, void>(`partitions ${partitionId(route, 0)}`, undefined, (now) => [
      now?.epoch === epoch && now.owner === this.#workerId ? { ...now, owner: null, sessions: [] } : now,
      undefined,
    ]);
  }
}

/** In the steps of `switchRoutes`. */
export const switchPartition = async (client: MemoryClient, route: string, switchedAt: bigint): Promise<void> => {
  const key = `partitions ${partitionId(route, 0)}`;
  const change = (fields: (now: MemoryPartition) => Partial<MemoryPartition>): Promise<MemoryPartition | undefined> =>
    client.update<MemoryPartition, MemoryPartition | undefined>(key, undefined, (now) => {
      const next = now && { ...now, ...fields(now) };
      return [next, next];
    });
  const noted = await change(() => ({ switchedAt }));
  for (const session of noted?.sessions ?? []) session.kill();
  const fenced = await change(({ epoch }) => ({ epoch: epoch + 1, owner: null, sessions: [] }));
  for (const { id } of await lanesOf(client, route))
    await client.update<LaneState, void>(laneKey(id), undefined, (lane) => [
      lane && { ...lane, epoch: fenced?.epoch ?? lane.epoch },
      undefined,
    ]);
};

/** The lanes' books and places as they stand. */
export const lanesOf = async (client: MemoryClient, route: string): Promise<readonly LaneState[]> =>
  [...(await client.all<LaneState>(laneKey(partitionId(route, 0)))).values()].sort((a, b) => a.slice - b.slice);

/** Offsets are numbers everywhere but in letters' records. */
export const offsetOf = ({ offset }: Readonly<{ offset: Long }>): number => Number(offset);
