import { Long, Timestamp } from "bson";
import type { StateTx } from "#base/flow/stateTx.ts";
import type { DriftBook } from "#route/drift/driftBook.ts";
import type { DriftDecision, DriftRecord, Place } from "#route/drift/ledger.ts";
import type { Change } from "#route/drift/observer.ts";
import type { MemoryClient } from "./database.ts";

type Where = Readonly<{ route: string; partition: number }>;

const placeOf = (at: bigint, partition: number, offset: number): Place => ({
  at: new Timestamp(at),
  partition,
  offset: Long.fromNumber(offset),
});

const recordOf = (_id: string, { route, partition }: Where, { entry, count }: Change): DriftRecord => ({
  ...{ _id, route, partition, path: entry.path, type: entry.type, kind: entry.kind, baseline: entry.baseline },
  outcome: entry.verdict,
  first: placeOf(entry.firstAt, partition, entry.firstOffset),
  last: placeOf(entry.lastAt, partition, entry.lastOffset),
  count: Long.fromNumber(count),
  example: null,
  seenAt: new Date(0),
});

/** The drift ledger in memory. */
export class MemoryDrift implements DriftBook {
  readonly #client: MemoryClient;

  constructor(client: MemoryClient) {
    this.#client = client;
  }

  async write(where: Where, changes: readonly Change[], tx: StateTx | undefined): Promise<void> {
    if (changes.length === 0) return;
    const byKey = new Map(
      changes.map((change) => {
        const _id = `${where.route}/${where.partition}/${change.entry.type}/${change.entry.path}`;
        return [`drift ${_id}` as string, { _id, change }] as const;
      }),
    );
    await this.#client.updateEach<DriftRecord>([...byKey.keys()], tx, (now, key) => {
      const { _id, change } = byKey.get(key) as { _id: string; change: Change };
      if (now === undefined) return recordOf(_id, where, change);
      const last = placeOf(change.entry.lastAt, where.partition, change.entry.lastOffset);
      return { ...now, last, count: now.count.add(change.count) };
    });
  }

  async read(route: string, paths?: readonly string[]): Promise<readonly DriftRecord[]> {
    const all = [...(await this.#client.all<DriftRecord>(`drift ${route}/`)).values()];
    return paths === undefined ? all : all.filter(({ path }) => paths.includes(path));
  }

  async isEmpty(route: string): Promise<boolean> {
    return (await this.read(route)).length === 0;
  }

  /** An operator's. */
  decide(route: string, path: string, type: string | null, verdict: DriftDecision["verdict"]): Promise<void> {
    const _id = `${route}/${type ?? "*"}/${path}`;
    return this.#client.put<DriftDecision>(`driftDecisions ${_id}`, {
      _id,
      route,
      path,
      type,
      verdict,
      at: new Date(0),
    });
  }

  async decisions(route: string): Promise<readonly DriftDecision[]> {
    return [...(await this.#client.all<DriftDecision>(`driftDecisions ${route}/`)).values()];
  }
}
