import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { collectionsOf, type Kind } from "./copied.ts";
import { copyTimes } from "./copyTimes.ts";
import { COMMAND } from "./ferryCommand.ts";
import { drop, ferryRun, type Pair } from "./pair.ts";
import { type Peer, withPeer } from "./peers.ts";
import { cpuSeconds, peakMb, rssMb } from "./processes.ts";
import { DB } from "./topics.ts";

const LIMIT_MS = 300_000;

/** What a contestant took: from the command to the last document (and index), and of every process. */
export type Outcome = Readonly<{
  commandS: number;
  /** Documents a second from the first one on the target to the last: forgives a long start, and reading all before a write. */
  perSecond: number;
  rssMb: number;
  cpuS: number;
  sourceMb: number;
  sourceCpuS: number;
  targetMb: number;
  targetCpuS: number;
}>;

type OwnPart = Pick<Outcome, "commandS" | "perSecond" | "rssMb" | "cpuS">;
type ServersPart = Omit<Outcome, keyof OwnPart>;

/** Every contestant of `bench direct`, each of which finds an empty target with nothing left to do. */
export class Copies {
  readonly #pair: Pair;
  readonly #sized: (full: number) => number;
  #runs = 0;

  constructor(pair: Pair, sized: (full: number) => number) {
    this.#pair = pair;
    this.#sized = sized;
  }

  async ceiling(kind: Kind): Promise<Outcome> {
    await this.#empty(kind);
    const script = fileURLToPath(new URL("./rawCopy.ts", import.meta.url));
    const { source, target } = this.#pair;
    const child = spawn(process.execPath, [script, source.uri, target.uri, kind], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const exited = once(child, "exit") as Promise<[number | null]>;
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    await lines.next();
    const servers = this.#servers();
    const began = performance.now();
    child.stdin.write("go\n");
    const { value } = await lines.next();
    const commandS = (performance.now() - began) / 1000;
    const used = servers();
    const memory = peakMb(child.pid);
    const [code] = await exited;
    if (code !== 0 || value === undefined) throw new Error(`the ceiling run ended with ${code}`);
    const { perSecond, cpuSeconds: cpuS } = JSON.parse(value) as { perSecond: number; cpuSeconds: number };
    return { commandS, perSecond, rssMb: memory, cpuS, ...used };
  }

  async ferry(kind: Kind): Promise<Outcome> {
    await this.#empty(kind);
    const stateDb = `ferry_bench_direct_${this.#runs++}`;
    const names = collectionsOf(kind).map(({ coll }) => coll);
    const servers = this.#servers();
    const began = performance.now();
    const outcome = await (async () => {
      await using run = ferryRun(this.#pair, names, stateDb, [], COMMAND);
      return { ...(await this.#watch(kind, began, run.child.pid)), ...servers() };
    })();
    await this.#pair.there.db(stateDb).dropDatabase();
    return outcome;
  }

  async peer(kind: Kind, peer: Peer): Promise<Outcome> {
    await this.#empty(kind);
    const names = collectionsOf(kind).map(({ coll }) => coll);
    const servers = this.#servers();
    return withPeer(peer, this.#pair, names, async ({ child }, orderedAt) => ({
      ...(await this.#watch(kind, orderedAt, child.pid)),
      ...servers(),
    }));
  }

  async #watch(kind: Kind, orderedAt: number, pid: number | undefined): Promise<OwnPart> {
    const expected = collectionsOf(kind).map(({ coll, full, indexes }) => ({
      coll,
      count: this.#sized(full),
      indexes: indexes.length,
    }));
    const { perSecond, lastAt } = await copyTimes(this.#pair.there, expected, LIMIT_MS);
    return { commandS: (lastAt - orderedAt) / 1000, perSecond, rssMb: peakMb(pid), cpuS: cpuSeconds(pid) };
  }

  /** From here on: what both servers use until it is asked for. */
  #servers(): () => ServersPart {
    const [source, target] = [this.#pair.source.pid, this.#pair.target.pid];
    const [sourceBefore, targetBefore] = [cpuSeconds(source), cpuSeconds(target)];
    return () => ({
      sourceMb: rssMb(source),
      sourceCpuS: cpuSeconds(source) - sourceBefore,
      targetMb: rssMb(target),
      targetCpuS: cpuSeconds(target) - targetBefore,
    });
  }

  async #empty(kind: Kind): Promise<void> {
    for (const { coll } of collectionsOf(kind)) {
      await drop(this.#pair, coll);
      await this.#pair.there.db(DB).createCollection(coll);
    }
    await this.#pair.there.db("admin").command({ fsync: 1 });
  }
}
