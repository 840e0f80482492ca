import type { Binary } from "bson";
import type {
  ClaimRecords,
  Lease,
  OwnerSession,
  PartitionPlace,
  PartitionState,
  RouteNotes,
} from "#apply/lanes/claimRecords.ts";
import type { LaneState } from "#apply/lanes/claims.ts";
import { laneId, partitionId } from "#apply/lanes/laneRecords.ts";
import { NO_COUNTS } from "#base/flow/types.ts";
import type { MemoryClient } from "./database.ts";
import { laneKey, lanesOf } from "./state.ts";

/** `expiresAt`: ms by the database's clock. */
type Partition = PartitionState & Readonly<{ expiresAt: number }>;

const NO_NOTES: RouteNotes = { dropAt: 0n, dropping: undefined, switchedAt: undefined };

const partitionKey = ({ route, partition }: PartitionPlace): string => `partitions ${partitionId(route, partition)}`;
const notesKey = (route: string): string => `routes ${route}`;

/** What ownership consists of, in memory; leases run by the database's clock. */
export class MemoryClaimRecords implements ClaimRecords {
  readonly #client: MemoryClient;

  constructor(client: MemoryClient) {
    this.#client = client;
  }

  /** Makes sure that a route's only partition has a record. */
  register(route: string, topic: string, slices: number): Promise<void> {
    const place = { route, partition: 0 };
    const fresh = {
      ...place,
      topic,
      topicId: undefined,
      slices,
      epoch: 0,
      owner: null,
      expiresAt: 0,
      sessions: [],
      captureEpoch: undefined,
    };
    return this.#client.update<Partition, void>(partitionKey(place), undefined, (now) => [
      now ?? { ...fresh, copyAt: 0n },
      undefined,
    ]);
  }

  /** Changes a record in one step, where it is as `isSo` wants it. @returns it as it is then */
  #change(
    place: PartitionPlace,
    isSo: (now: Partition) => boolean,
    fields: (now: Partition) => Partial<Partition>,
  ): Promise<Partition | undefined> {
    return this.#client.update<Partition, Partition | undefined>(partitionKey(place), undefined, (now) => {
      if (now === undefined || !isSo(now)) return [now, undefined];
      const next = { ...now, ...fields(now) };
      return [next, next];
    });
  }

  #isFree({ owner, expiresAt }: Partition): boolean {
    return owner === null || expiresAt < this.#client.db.now();
  }

  async free(place: PartitionPlace): Promise<PartitionState | undefined> {
    const found = await this.#client.get<Partition>(partitionKey(place));
    return found !== undefined && this.#isFree(found) ? found : undefined;
  }

  take(
    former: PartitionState,
    { workerId: owner, leaseMs, captureEpoch }: Lease,
    sessions: readonly Binary[],
  ): Promise<PartitionState | undefined> {
    return this.#change(
      former,
      (now) =>
        now.epoch === former.epoch &&
        now.slices === former.slices &&
        this.#isFree(now) &&
        (now.captureEpoch ?? 0) <= (captureEpoch ?? Number.POSITIVE_INFINITY),
      ({ epoch, captureEpoch: its }) => ({
        ...{ owner, epoch: epoch + 1, expiresAt: this.#client.db.now() + leaseMs, sessions },
        captureEpoch: captureEpoch ?? its,
      }),
    );
  }

  async renew(partitions: readonly string[], { workerId, leaseMs }: Lease): Promise<void> {
    for (const id of partitions)
      await this.#client.update<Partition, void>(`partitions ${id}`, undefined, (now) => [
        now?.owner === workerId ? { ...now, expiresAt: this.#client.db.now() + leaseMs } : now,
        undefined,
      ]);
  }

  async giveBack(place: PartitionPlace & Readonly<{ epoch: number }>, workerId: string): Promise<void> {
    await this.#change(
      place,
      ({ epoch, owner }) => epoch === place.epoch && owner === workerId,
      () => ({ owner: null, sessions: [] }),
    );
  }

  async noteSlices(won: PartitionState, slices: number): Promise<boolean> {
    const noted = await this.#change(
      won,
      ({ epoch }) => epoch === won.epoch,
      () => ({ slices }),
    );
    return noted !== undefined;
  }

  session(): OwnerSession {
    return this.#client.session();
  }

  endSessions(ids: readonly Binary[]): Promise<void> {
    return this.#client.endSessions(ids);
  }

  async lowestOffset({ route }: PartitionPlace): Promise<number | undefined> {
    const offsets = (await lanesOf(this.#client, route)).map(({ offset }) => offset);
    return offsets.length === 0 ? undefined : Math.min(...offsets);
  }

  fence(
    { route, topic, partition, epoch }: PartitionState,
    slice: number,
    to: Readonly<{ offset: number } | { first: number }>,
  ): Promise<LaneState | undefined> {
    const id = laneId(route, partition, slice);
    return this.#client.update<LaneState, LaneState | undefined>(laneKey(id), undefined, (now) => {
      if (now !== undefined && now.epoch > epoch) return [now, undefined];
      const fresh = { id, route, topic, partition, slice, offset: 0, at: 0n, logTimeMs: 0, counts: NO_COUNTS };
      const mine = { ...(now ?? ("first" in to ? { ...fresh, offset: to.first } : fresh)), epoch };
      const placed = "offset" in to ? { ...mine, offset: to.offset } : mine;
      return [placed, placed];
    });
  }

  async notes(route: string): Promise<RouteNotes> {
    return (await this.#client.get<RouteNotes>(notesKey(route))) ?? NO_NOTES;
  }

  /** @param tx a claim's own transaction, which its next owner ends */
  note(route: string, notes: Partial<RouteNotes>, tx?: Parameters<MemoryClient["update"]>[1]): Promise<void> {
    return this.#client.update<RouteNotes, void>(notesKey(route), tx, (now = NO_NOTES) => [
      { ...now, ...notes },
      undefined,
    ]);
  }

  /** Is the partition still in this epoch? In a transaction, none may take it until that has ended. */
  isIn(
    { route, partition, epoch }: PartitionPlace & Readonly<{ epoch: number }>,
    tx: Parameters<MemoryClient["update"]>[1],
  ): Promise<boolean> {
    return this.#client.update<Partition, boolean>(partitionKey({ route, partition }), tx, (now) => [
      now?.epoch === epoch ? { ...now } : now,
      now?.epoch === epoch,
    ]);
  }

  /** As if no renewal of its owner had come through for long. */
  async expire(place: PartitionPlace): Promise<void> {
    await this.#change(
      place,
      () => true,
      () => ({ expiresAt: 0 }),
    );
  }

  async partitionsOf(route?: string): Promise<readonly PartitionState[]> {
    const prefix = route === undefined ? "partitions " : `partitions ${route}/`;
    return [...(await this.#client.all<Partition>(prefix)).values()];
  }

  expel(place: PartitionPlace, captureEpoch = 0): Promise<PartitionState | undefined> {
    return this.#change(
      place,
      () => true,
      ({ epoch, captureEpoch: its }) => ({
        ...{ epoch: epoch + 1, owner: null, sessions: [] },
        captureEpoch: its === undefined && captureEpoch === 0 ? undefined : Math.max(its ?? 0, captureEpoch),
      }),
    );
  }

  async fenceAll({ route, epoch }: PartitionState): Promise<void> {
    for (const { id } of await lanesOf(this.#client, route))
      await this.#client.update<LaneState, void>(laneKey(id), undefined, (lane) => [
        lane && { ...lane, epoch },
        undefined,
      ]);
  }
}
