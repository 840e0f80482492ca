/**
 * Servers that outlive a test file, so that the next one need not start its own: two mongods and a Kafka take several seconds each
 * time, of seventy files. The runner names the folder (`FERRY_TEST_POOL`) and ends what is in it; without it nothing is pooled.
 */
import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import { type KafkaServer, type KafkaServerOptions, prepareKafka } from "#tools/stack/kafka.ts";
import { type MongoOptions, type MongoServer, prepareMongo } from "#tools/stack/mongod.ts";
import { isSameProcess, processStamp } from "#tools/stack/process.ts";
import { type Running, recordedProcess } from "#tools/stack/server.ts";
import { killServersOf } from "./folders.ts";

type Pooled = AsyncDisposable & { start(): Promise<void> };

/** How one kind of server comes back. */
type Kind<T> = Readonly<{
  /** A handle on what was started there before, or on nothing. */
  prepare: (dir: string) => Promise<T>;
  /** Nothing of a former file is left. @throws where it cannot be used any more */
  reset: (server: T) => Promise<void>;
}>;

const LOCK = "lock";

const readJson = <T>(file: string): T | undefined => {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as T;
  } catch {
    return undefined;
  }
};

const isHeld = (lock: string): boolean => {
  const owner = readJson<Running>(lock);
  return owner !== undefined && isSameProcess(owner.pid, owner.stamp);
};

/** The slot is this process's, unless another one that lives has it. */
const take = (slot: string): boolean => {
  const lock = join(slot, LOCK);
  const mine = `${lock}.${process.pid}`;
  writeFileSync(mine, JSON.stringify({ pid: process.pid, stamp: processStamp(process.pid) }));
  /** With its content from the first moment: who sees an empty one would take it for one that was left behind. */
  const isFree = (): boolean => {
    try {
      linkSync(mine, lock);
      return true;
    } catch {
      return false;
    }
  };
  if (isFree()) return true;
  if (isHeld(lock)) return false;
  const left = `${lock}.left.${process.pid}`;
  try {
    renameSync(lock, left); // one of those who see it wins
  } catch {
    return false;
  }
  if (isHeld(left)) {
    linkSync(left, lock); // somebody was faster, and it is theirs
    return false;
  }
  return isFree();
};

/** A slot of this kind: one that is free, or a new one. */
const slotOf = (pool: string, key: string): string => {
  for (let n = 1; ; n++) {
    const slot = join(pool, `${key}-${n}`);
    mkdirSync(slot, { recursive: true });
    if (take(slot)) return slot;
  }
};

const begin = async <T extends Pooled>(slot: string, { prepare, reset }: Kind<T>): Promise<T> => {
  const server = await prepare(slot);
  await server.start();
  await reset(server);
  return server;
};

/** A server of the pool, as if it were new; disposal leaves it to the next file. */
export const pooled = async <T extends Pooled>(pool: string, key: string, kind: Kind<T>): Promise<T> => {
  const slot = slotOf(pool, key);
  const server = await begin(slot, kind).catch(() => {
    killServersOf(slot);
    for (const name of readdirSync(slot).filter((name) => !name.startsWith(LOCK)))
      rmSync(join(slot, name), { recursive: true, force: true });
    return begin(slot, kind);
  });
  return Object.defineProperty(server, Symbol.asyncDispose, {
    value: async () => rmSync(join(slot, LOCK), { force: true }),
  });
};

/** Ports that a slot's server has, for as long as the slot lives. */
const portsOf = (slot: string): readonly number[] | undefined => readJson<number[]>(join(slot, "ports"));

const keepPorts = (slot: string, ports: readonly number[]): void =>
  writeFileSync(join(slot, "ports"), JSON.stringify(ports));

const RESET_MS = 20_000;

export const pooledMongo = (options: Omit<MongoOptions, "dir">): Kind<MongoServer> => ({
  prepare: async (dir) => {
    const ports = portsOf(dir);
    const names = options.nodes === 3 ? [1, 2, 3].map((n) => `${options.name}-${n}`) : [options.name];
    const running = Object.fromEntries(
      names.flatMap((name) => {
        const found = recordedProcess(join(dir, name, "mongod.log"));
        return found === undefined ? [] : [[name, found]];
      }),
    );
    const server = await prepareMongo({ ...options, dir, detached: true, ...(ports && { ports }) }, running);
    keepPorts(dir, server.ports);
    return server;
  },
  reset: async ({ uri }) => {
    await using client = await MongoClient.connect(uri, { serverSelectionTimeoutMS: RESET_MS });
    const admin = client.db("admin");
    await admin.command({ killAllSessions: [] }); // what killed processes had begun holds locks
    if (options.replSet !== null) await admin.command({ setUserWriteBlockMode: 1, global: false });
    const { databases } = await admin.command({ listDatabases: 1, nameOnly: true });
    for (const { name } of databases as { name: string }[])
      if (!["admin", "config", "local"].includes(name)) await client.db(name).dropDatabase();
  },
});

export const pooledKafka = (options: Omit<KafkaServerOptions, "dir">): Kind<KafkaServer> => ({
  prepare: async (dir) => {
    const [port, controllerPort] = portsOf(dir) ?? [];
    const ports = port === undefined || controllerPort === undefined ? {} : { port, controllerPort };
    const server = await prepareKafka(
      { ...options, ...ports, dir, detached: true },
      recordedProcess(join(dir, "kafka.log")),
    );
    keepPorts(dir, server.spec.ports);
    return server;
  },
  reset: async ({ bootstrap }) => {
    await using client = new KafkaClient({ bootstrap, clientId: "test-pool", group: "test-pool" });
    const left = async (): Promise<readonly string[]> =>
      (await client.topics()).filter((name) => !name.startsWith("__"));
    await waitFor(
      async () => {
        const topics = await left();
        for (const topic of topics) await client.deleteTopic(topic);
        return topics.length === 0 ? { done: undefined } : { seen: topics };
      },
      { what: "topics of a former file to be gone", clock: systemClock, timeoutMs: RESET_MS, everyMs: 100 },
    );
  },
});
