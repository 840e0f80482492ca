import { join } from "node:path";
import { MongoClient } from "mongodb";
import { type KafkaServer, startKafka } from "#tools/stack/kafka.ts";
import { type MongoServer, startMongo } from "#tools/stack/mongod.ts";
import { tempFolder } from "../harness/folders.ts";

/** What all seeds share: each has databases of its own there. */
export type SoakServers = Readonly<{
  source: MongoServer;
  target: MongoServer;
  here: MongoClient;
  there: MongoClient;
  /** Started when the first seed asks for it. */
  kafka: () => Promise<KafkaServer>;
}>;

/** The odd _ids come back in replies (`upserted`, for one), and are no UTF-8. Documents are compared by their bytes. */
const LENIENT = { enableUtf8Validation: false } as const;

export const startServers = async (): Promise<SoakServers & AsyncDisposable> => {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(tempFolder());
  const mongo = (name: string): Promise<MongoServer> =>
    startMongo({ dir: join(folder.path, name), name, replSet: `rs-${name}`, cacheGb: 0.25, testCommands: true });
  const source = stack.use(await mongo("source"));
  const target = stack.use(await mongo("target"));
  const here = stack.use(await new MongoClient(source.uri, LENIENT).connect());
  const there = stack.use(await new MongoClient(target.uri, LENIENT).connect());
  const all = stack.move();
  let broker: Promise<KafkaServer> | undefined;
  const kafka = (): Promise<KafkaServer> => {
    broker ??= startKafka({ dir: join(folder.path, "kafka") }).then((server) => all.use(server));
    return broker;
  };
  return { source, target, here, there, kafka, [Symbol.asyncDispose]: () => all.disposeAsync() };
};
