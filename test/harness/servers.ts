import { join } from "node:path";
import { after } from "node:test";
import { type KafkaServer, type KafkaServerOptions, startKafka } from "#tools/stack/kafka.ts";
import { type ConnectServer, type KafkaConnectOptions, startConnect } from "#tools/stack/kafkaConnect.ts";
import { type MongoOptions, type MongoServer, startMongo } from "#tools/stack/mongod.ts";
import { removeFolder, tempFolder } from "./folders.ts";
import { guardedOptions, withUsers } from "./leastPrivileged.ts";

/**
 * Real servers for tests, each on free ports in a folder of its own:
 *
 *     await using source = await mongo();             // this test's own; may be killed, restarted, broken
 *     const { uri } = await sharedMongo();            // one for the whole test file; leave it as you found it
 *
 * What a test starts with `await using` ends with it, also when it fails; what is shared ends with the file; and what a
 * killed test process leaves is ended by the next run. Import this from test files only: it registers a hook.
 */
type Owned = AsyncDisposable & { stop(): Promise<void> };

/** The server's disposal removes its folder too. */
const owning = <T extends Owned>(server: T, folder: string): T =>
  Object.defineProperty(server, Symbol.asyncDispose, {
    value: async () => {
      await server.stop();
      removeFolder(folder);
    },
  });

const inFolder = async <T extends Owned>(start: (dir: string) => Promise<T>): Promise<T> => {
  const folder = tempFolder();
  try {
    return owning(await start(folder.path), folder.path);
  } catch (error) {
    removeFolder(folder.path);
    throw error;
  }
};

/** A mongod of this test's own: replica set `rs0` of one member, 0.25 GB cache, fail points allowed, by default. */
export const mongo = (options: Partial<MongoOptions> = {}): Promise<MongoServer> =>
  inFolder(async (dir) => {
    const wanted = { dir, name: "mongo", replSet: "rs0", cacheGb: 0.25, testCommands: true, ...options };
    return withUsers(await startMongo(guardedOptions(wanted)), wanted);
  });

/**
 * What an idle broker does: by default a quarter of a core, of which three run beside each other. None of
 * it changes an answer.
 */
const RESTING = {
  "metadata.max.idle.interval.ms": 60_000,
  "num.io.threads": 2,
  "num.network.threads": 1,
  "background.threads": 1,
  "log.cleaner.enable": false,
};

/** A Kafka of this test's own. */
export const kafka = ({ props, ...options }: Partial<KafkaServerOptions> = {}): Promise<KafkaServer> =>
  inFolder((dir) => startKafka({ dir: join(dir, "kafka"), ...options, props: { ...RESTING, ...props } }));

/** A Kafka Connect of this test's own, on that Kafka (host:port). */
export const connect = (bootstrap: string, options: Partial<KafkaConnectOptions> = {}): Promise<ConnectServer> =>
  inFolder((dir) => startConnect({ dir: join(dir, "connect"), bootstrap, ...options }));

/** Shared servers by key, as promises: two tests that ask concurrently get the same one. */
const shared = new Map<string, Promise<AsyncDisposable>>();

const once = <T extends AsyncDisposable>(key: string, start: () => Promise<T>): Promise<T> => {
  const running = (shared.get(key) as Promise<T> | undefined) ?? start();
  shared.set(key, running);
  return running;
};

// At import, so that it belongs to the file and not to the test that happens to ask first.
after(async () => {
  const started = [...shared.values()].reverse(); // Connect before its Kafka
  shared.clear();
  for (const server of await Promise.allSettled(started))
    if (server.status === "fulfilled") await server.value[Symbol.asyncDispose]();
});

/** The mongod that this test file shares; `name` tells several apart, such as "source" and "target". */
export const sharedMongo = (name = "mongo", options: Partial<MongoOptions> = {}): Promise<MongoServer> =>
  once(`mongo:${name}`, () => mongo({ name, ...options }));

/** The Kafka that this test file shares. */
export const sharedKafka = (): Promise<KafkaServer> => once("kafka", () => kafka());

/** The Kafka Connect that this test file shares, on its shared Kafka. */
export const sharedConnect = (): Promise<ConnectServer> =>
  once("connect", async () => connect((await sharedKafka()).bootstrap));
