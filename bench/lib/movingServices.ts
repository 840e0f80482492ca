import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { MongoClient, MongoServerError } from "mongodb";

/** What one client keeps of its own: what was acknowledged to it, and when. */
type Account = {
  acked: number;
  reads: number;
  /** When it was acknowledged last, by side. */
  lastOn: Record<Side, number>;
  /** Between both sides, when it moved last. */
  pausedMs: number | undefined;
  side: Side;
  lastAcked: number | undefined;
  longestMs: number;
};

type Side = "source" | "target";

const newAccount = (): Account => ({
  acked: 0,
  reads: 0,
  lastOn: { source: 0, target: 0 },
  pausedMs: undefined,
  side: "source",
  lastAcked: undefined,
  longestMs: 0,
});

/** Reads after each write. */
const READS = 4;
/** How often the address is looked at, ms, as a service watches its configuration. */
const WATCH_MS = 5;
/** How long a client rests whose write was refused, ms: a hundred of them that ask all the time would slow down what they wait for. */
const REFUSED_MS = 25;

/** Not at all where `ms` is not above 0. */
const rest = async (ms: number): Promise<void> => {
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
};

/**
 * Services that write and read where a file says, `source` or `target`: each writes once in `everyMs` and then reads, or as fast
 * as it is answered where that takes longer. Each increments a document of its own, so that a write that is lost or done twice is seen. What a
 * fence refuses is tried again, at whatever address is the right one by then.
 */
export class MovingServices implements AsyncDisposable {
  /** A hook's command that sends them to the target. */
  readonly release: string;
  /** And back. */
  readonly releaseBack: string;
  readonly #file: string;
  readonly #clients: Readonly<Record<Side, MongoClient>>;
  readonly #accounts = new Map<string, Account>();
  readonly #ns: Readonly<{ db: string; coll: string }>;
  #address: Side = "source";
  #goOn: PromiseWithResolvers<void> | undefined;
  readonly #stop = new AbortController();
  #running: Promise<unknown> = Promise.resolve();
  readonly refusals = new Set<number>();

  constructor(uris: Readonly<{ source: string; target: string }>, ns: Readonly<{ db: string; coll: string }>) {
    // Each client stands for a service of its own, which does not wait until others have connected.
    const options = { maxPoolSize: 200, maxConnecting: 100, writeConcern: { w: "majority" } } as const;
    this.#clients = { source: new MongoClient(uris.source, options), target: new MongoClient(uris.target, options) };
    this.#ns = ns;
    this.#file = join(mkdtempSync(join(tmpdir(), "ferry-services-")), "address");
    writeFileSync(this.#file, "source");
    this.release = `echo target > ${this.#file}`;
    this.releaseBack = `echo source > ${this.#file}`;
  }

  start(count: number, everyMs = 0): void {
    const ids = Array.from({ length: count }, (_, n) => `client-${n}`);
    for (const id of ids) this.#accounts.set(id, newAccount());
    this.#running = Promise.all([this.#watch(), ...ids.map((id) => this.#work(id, everyMs))]);
  }

  sendTo(side: Side): void {
    writeFileSync(this.#file, side);
  }

  /** No service writes while this is at work. */
  async held<T>(work: () => Promise<T>): Promise<T> {
    this.#goOn = Promise.withResolvers();
    try {
      return await work();
    } finally {
      this.#goOn.resolve();
      this.#goOn = undefined;
    }
  }

  /** Does the address say so? */
  sentTo(side: Side): boolean {
    return this.#address === side;
  }

  async #watch(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#address = readFileSync(this.#file, "utf8").trim() === "target" ? "target" : "source";
      await rest(WATCH_MS);
    }
  }

  async #work(id: string, everyMs: number): Promise<void> {
    const account = this.#accounts.get(id);
    if (account === undefined) return;
    // Not all at once: services were not started together.
    let due = performance.now() + Math.random() * everyMs;
    while (!this.#stop.signal.aborted) {
      await rest(due - performance.now());
      await this.#goOn?.promise;
      const side = this.#address;
      const coll = this.#clients[side].db(this.#ns.db).collection<{ _id: string }>(this.#ns.coll);
      try {
        await coll.updateOne({ _id: id }, { $inc: { n: 1 } }, { upsert: true });
      } catch (error) {
        if (!(error instanceof MongoServerError)) throw error;
        this.refusals.add(Number(error.code));
        await rest(REFUSED_MS);
        continue;
      }
      account.acked++;
      const now = performance.now();
      account.longestMs = Math.max(account.longestMs, now - (account.lastAcked ?? now));
      account.lastAcked = now;
      if (side !== account.side) account.pausedMs = now - account.lastOn[account.side];
      account.side = side;
      account.lastOn[side] = now;
      for (let read = 0; read < READS; read++, account.reads++) await this.#read(side, id);
      due = Math.max(due + everyMs, performance.now());
    }
  }

  /** As a command: a cursor of the driver costs its process half as much again, which the two cores would be missing. */
  async #read(side: Side, id: string): Promise<void> {
    const find = { find: this.#ns.coll, filter: { _id: id }, limit: 1, singleBatch: true };
    await this.#clients[side].db(this.#ns.db).command(find, { raw: true });
  }

  get acked(): number {
    return [...this.#accounts.values()].reduce((sum, { acked }) => sum + acked, 0);
  }

  /** Writes and reads that were answered. */
  get operations(): number {
    return [...this.#accounts.values()].reduce((sum, { acked, reads }) => sum + acked + reads, 0);
  }

  /** The longest that a client had to wait for an acknowledgement, ms; since it was asked last. */
  longestWait(): number {
    const longest = Math.max(0, ...[...this.#accounts.values()].map(({ longestMs }) => longestMs));
    for (const account of this.#accounts.values()) account.longestMs = 0;
    return longest;
  }

  /** Has every client written to this side last? */
  areOn(side: Side): boolean {
    return [...this.#accounts.values()].every((account) => account.side === side);
  }

  /** From a client's last acknowledged write on one side to its first on the other, when they moved last, ms, sorted. */
  get pauses(): readonly number[] {
    return [...this.#accounts.values()].flatMap(({ pausedMs }) => pausedMs ?? []).sort((a, b) => a - b);
  }

  /** Ends them, and compares their accounts with what a side has. */
  async settle(side: Side): Promise<Readonly<{ lost: number; doubled: number }>> {
    this.#stop.abort();
    await this.#running;
    const coll = this.#clients[side].db(this.#ns.db).collection<{ _id: string; n: number }>(this.#ns.coll);
    const there = new Map((await coll.find({ _id: /^client-/ }).toArray()).map(({ _id, n }) => [_id, n]));
    let [lost, doubled] = [0, 0];
    for (const [id, { acked }] of this.#accounts) {
      const n = there.get(id) ?? 0;
      lost += Math.max(0, acked - n);
      doubled += Math.max(0, n - acked);
    }
    return { lost, doubled };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running.catch(() => undefined);
    await Promise.allSettled([this.#clients.source.close(), this.#clients.target.close()]);
    rmSync(dirname(this.#file), { recursive: true, force: true });
  }
}
