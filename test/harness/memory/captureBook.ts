import { Long } from "bson";
import { FerryError } from "#base/errors/ferryError.ts";
import type { CaptureBook } from "#source/capture/captureBook.ts";
import type { CaptureRecord } from "#source/capture/captureStore.ts";
import type { RangeRecord } from "#source/copy/rangeRecord.ts";
import type { MemoryClient } from "./database.ts";

const RECORD = "capture capture";
const rangeKey = (id: string): string => `copyRanges ${id}`;

/** The capture's record in memory, for one process. */
export class MemoryCaptureBook implements CaptureBook {
  readonly #client: MemoryClient;
  readonly #owner: string;
  readonly #leaseMs: number;
  #epoch = Long.ZERO;
  /** Called in the step that saves the end of the copy. */
  onCopied: () => void = () => undefined;

  constructor(client: MemoryClient, owner: string, leaseMs: number) {
    this.#client = client;
    this.#owner = owner;
    this.#leaseMs = leaseMs;
  }

  /** Writes a new capture down, with its ranges before it. */
  async begin(record: CaptureRecord, ranges: readonly RangeRecord[]): Promise<void> {
    for (const range of ranges) await this.#client.put(rangeKey(range._id), range);
    await this.#client.put(RECORD, record);
  }

  read(): Promise<CaptureRecord | undefined> {
    return this.#client.get<CaptureRecord>(RECORD);
  }

  get #expiresAt(): Date {
    return new Date(this.#client.db.now() + this.#leaseMs);
  }

  /** Of this owner, since its claim. */
  get epoch(): number {
    return Number(this.#epoch);
  }

  /** Takes the capture over from an owner that left or died. False while another one renews its lease. */
  claim(): Promise<boolean> {
    return this.#client.update<CaptureRecord, boolean>(RECORD, undefined, (now) => {
      if (now === undefined) return [now, false];
      const isLeased = now.owner !== null && (now.expiresAt?.getTime() ?? 0) >= this.#client.db.now();
      if (isLeased) return [now, false];
      this.#epoch = now.epoch.add(1);
      return [{ ...now, owner: this.#owner, epoch: this.#epoch, expiresAt: this.#expiresAt }, true];
    });
  }

  /** Its lease has run out, whichever process has it. */
  expire(): Promise<void> {
    return this.#client.update<CaptureRecord, void>(RECORD, undefined, (now) => [
      now && { ...now, expiresAt: new Date(0) },
      undefined,
    ]);
  }

  #change(fields: Partial<CaptureRecord>): Promise<void> {
    return this.#client.update<CaptureRecord, void>(RECORD, undefined, (now) => {
      if (now === undefined || !now.epoch.equals(this.#epoch))
        throw new FerryError("FERRY_FENCED", "another process has taken the capture over");
      if (fields.phase === "stream") this.onCopied();
      return [{ ...now, ...fields }, undefined];
    });
  }

  renew(): Promise<void> {
    return this.#change({ expiresAt: this.#expiresAt });
  }

  release(): Promise<void> {
    return this.#change({ owner: null, expiresAt: null });
  }

  save(fields: Parameters<CaptureBook["save"]>[0]): Promise<void> {
    return this.#change(fields);
  }

  async ranges({ generation, plan }: Pick<CaptureRecord, "generation" | "plan">): Promise<readonly RangeRecord[]> {
    const all = [...(await this.#client.all<RangeRecord>(rangeKey(""))).values()];
    return all.filter((one) => one.generation === generation && one.plan === plan).sort((a, b) => a.index - b.index);
  }

  async advance(ranges: Parameters<CaptureBook["advance"]>[0]): Promise<void> {
    for (const { _id, ...progress } of ranges)
      await this.#client.update<RangeRecord, void>(rangeKey(_id), undefined, (now) => [
        now === undefined || now.done ? now : { ...now, ...progress },
        undefined,
      ]);
  }

  async noteLag(ms: number): Promise<void> {
    await this.#change({ lag: { ms: Long.fromNumber(ms), at: new Date(this.#client.db.now()) } });
  }

  async noteOplog(): Promise<void> {}

  async noteSpool(): Promise<void> {}
}
