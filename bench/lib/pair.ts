import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MongoClient } from "mongodb";
import { type MongoOptions, type MongoServer, startMongo } from "#tools/stack/mongod.ts";
import { MAIN } from "./ferryCommand.ts";
import { DB } from "./topics.ts";

/** Source and target for a bench without Kafka, and clients for them. */
export type Pair = AsyncDisposable &
  Readonly<{ source: MongoServer; target: MongoServer; here: MongoClient; there: MongoClient }>;

/** What a server is to be short of. */
export type Short = Pick<MongoOptions, "cacheGb" | "args">;

export const startPair = async (source: Short = {}, target: Short = {}): Promise<Pair> => {
  const dir = mkdtempSync(join(tmpdir(), "ferry-bench-"));
  const [one, other] = await Promise.all([
    startMongo({ dir: join(dir, "source"), name: "source", replSet: "rs-source", cacheGb: 1.5, ...source }),
    startMongo({ dir: join(dir, "target"), name: "target", replSet: "rs-target", cacheGb: 1.5, ...target }),
  ]);
  const [here, there] = await Promise.all([MongoClient.connect(one.uri), MongoClient.connect(other.uri)]);
  return {
    source: one,
    target: other,
    here,
    there,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([here.close(), there.close()]);
      await Promise.all([one.stop(), other.stop()]);
      rmSync(dir, { recursive: true, force: true });
    },
  };
};

/** A target without the collection. */
export const drop = async ({ there }: Pair, coll: string): Promise<void> => {
  await there.db(DB).dropCollection(coll);
};

export const mongodVersion = async ({ there }: Pair): Promise<string> =>
  String((await there.db("admin").command({ buildInfo: 1 }))["version"]);

/** A program at work; disposal ends it. */
export type Running = AsyncDisposable & Readonly<{ child: ChildProcess }>;

export const running = (command: string, args: readonly string[]): Running => {
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "inherit"] });
  const exited = once(child, "exit").catch(() => undefined); // one that cannot be started reports by its own event
  return {
    child,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
      await exited;
    },
  };
};

/** Collections of the bench's database as one word, for `--include` and the like. */
export const namespaces = (colls: readonly string[]): string => colls.map((coll) => `${DB}.${coll}`).join(",");

/** `ferry run` of collections of the bench's database. @param command what is run: the script alone, or `ferry` as a user types it */
export const ferryRun = (
  pair: Pair,
  colls: string | readonly string[],
  stateDb: string,
  more: readonly string[] = [],
  command: string = MAIN,
): Running =>
  running(process.execPath, [
    ...[command, "run", "--source", pair.source.uri, "--target", pair.target.uri],
    ...["--include", namespaces([colls].flat()), "--state-db", stateDb, "--log-level", "error", ...more],
  ]);

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
