import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MongoClient, MongoServerError } from "mongodb";
import { tempFolder } from "./folders.ts";

/** What one client keeps of its own: what was acknowledged to it, and when. */
type Account = { acked: number; lastOnSource: number; firstOnTarget: number | undefined };

/** How often the address is looked at, ms, as a service watches its configuration. */
const WATCH_MS = 5;

/**
 * Services that write and read where a file says, `source` or `target`, as fast as `pauseMs` between two operations lets them.
 * Each increments a document of its own and inserts one with each step, so that a write that is lost or done twice is seen. What a
 * fence refuses is tried again, at whatever address is the right one by then.
 */
export class Services implements AsyncDisposable {
  /** A hook's command that sends them to the target. */
  readonly release: string;
  readonly #file: string;
  readonly #clients: Readonly<Record<"source" | "target", MongoClient>>;
  readonly #accounts = new Map<string, Account>();
  readonly #ns: Readonly<{ db: string; coll: string }>;
  #address: "source" | "target" = "source";
  readonly #stop = new AbortController();
  #running: Promise<unknown> = Promise.resolve();
  readonly refusals = new Set<number>();

  constructor(uris: Readonly<{ source: string; target: string }>, ns: Readonly<{ db: string; coll: string }>) {
    const options = { maxPoolSize: 200, writeConcern: { w: "majority" } } as const;
    this.#clients = { source: new MongoClient(uris.source, options), target: new MongoClient(uris.target, options) };
    this.#ns = ns;
    const folder = tempFolder().path;
    this.#file = join(folder, "address");
    writeFileSync(this.#file, "source");
    this.release = `echo target > ${this.#file}`;
  }

  start(count: number, pauseMs = 0): void {
    const ids = Array.from({ length: count }, (_, n) => `client-${n}`);
    for (const id of ids) this.#accounts.set(id, { acked: 0, lastOnSource: 0, firstOnTarget: undefined });
    this.#running = Promise.all([this.#watch(), ...ids.map((id) => this.#work(id, pauseMs))]);
  }

  sendTo(side: "source" | "target"): void {
    writeFileSync(this.#file, side);
  }

  async #watch(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#address = readFileSync(this.#file, "utf8").trim() === "target" ? "target" : "source";
      await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
    }
  }

  async #work(id: string, pauseMs: number): Promise<void> {
    const account = this.#accounts.get(id);
    if (account === undefined) return;
    while (!this.#stop.signal.aborted) {
      const side = this.#address;
      const coll = this.#clients[side].db(this.#ns.db).collection<{ _id: string }>(this.#ns.coll);
      try {
        await coll.updateOne({ _id: id }, { $inc: { n: 1 } }, { upsert: true });
      } catch (error) {
        if (!(error instanceof MongoServerError)) throw error;
        this.refusals.add(Number(error.code));
        await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
        continue;
      }
      account.acked++;
      const now = performance.now();
      if (side === "source") account.lastOnSource = now;
      else account.firstOnTarget ??= now;
      if (account.acked % 4 === 0) await coll.findOne({ _id: id });
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  get acked(): number {
    return [...this.#accounts.values()].reduce((sum, { acked }) => sum + acked, 0);
  }

  /** Has every client written to the target? */
  get areMoved(): boolean {
    return [...this.#accounts.values()].every(({ firstOnTarget }) => firstOnTarget !== undefined);
  }

  /** From a client's last acknowledged write on the source to its first on the target, ms, sorted. */
  get pauses(): readonly number[] {
    return [...this.#accounts.values()]
      .flatMap(({ lastOnSource, firstOnTarget }) => (firstOnTarget === undefined ? [] : [firstOnTarget - lastOnSource]))
      .sort((a, b) => a - b);
  }

  /** Ends them, and compares their accounts with what a side has. */
  async settle(side: "source" | "target"): Promise<Readonly<{ lost: number; doubled: number }>> {
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
  }
}
