import { readFileSync } from "node:fs";
import { identityOf } from "#base/bson/identity.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import { connectMongo, type MongoClient } from "#io/mongo/connect.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { type ConnectorConfig, ConnectRest } from "#source/connect/connectRest.ts";
import { parseConnector } from "#source/connector/connectorConfig.ts";
import { ConnectorStore } from "#source/connector/connectorStore.ts";
import type { StartRequest } from "#source/connector/gapFreeStart.ts";
import type { StartDeps, StartEvent } from "#source/connector/startDeps.ts";
import { type Folded, fold, readTopic } from "./fold.ts";

/** The recommended connector as it is shipped, for one collection of a database of the test's own, in one partition. */
export const recommended = (
  sourceUri: string,
  db: string,
  coll: string,
  changes: ConnectorConfig = {},
): ConnectorConfig => {
  const file = JSON.parse(readFileSync("deploy/recommended-connector.json", "utf8")) as { config: ConnectorConfig };
  return {
    ...file.config,
    "connection.uri": sourceUri,
    database: db,
    pipeline: String(file.config["pipeline"]).replaceAll('"users"', JSON.stringify(coll)),
    "startup.mode.copy.existing.namespace.regex": `^${db}\\.${coll}$`,
    "offset.partition.name": `${db}-${coll}`,
    "topic.creation.default.partitions": "1",
    ...changes,
  };
};

export const request = (name: string, config: ConnectorConfig, acceptTopic = false): StartRequest => ({
  name,
  capture: parseConnector(config),
  acceptTopic,
  replay: false,
});

/** Everything a start needs, on given servers; `said` collects its reports. */
export class CaptureBench implements AsyncDisposable {
  readonly deps: StartDeps;
  readonly said: string[] = [];
  readonly target: MongoClient;
  readonly bootstrap: string;

  private constructor(deps: Omit<StartDeps, "report">, target: MongoClient, bootstrap: string) {
    const report = (event: StartEvent): void => {
      if (event.kind === "said") this.said.push(event.sentence);
    };
    this.deps = { ...deps, report };
    this.target = target;
    this.bootstrap = bootstrap;
  }

  static async open(
    urls: Readonly<{ source: string; target: string; bootstrap: string; connect: string }>,
  ): Promise<CaptureBench> {
    const [source, target] = await Promise.all([
      connectMongo(urls.source, { appName: "test" }),
      connectMongo(urls.target, { appName: "test" }),
    ]);
    const rest = new ConnectRest({ url: urls.connect, clock: systemClock, giveUpAfterMs: 60_000 });
    const kafka = new KafkaClient({ bootstrap: urls.bootstrap, clientId: "test", group: "test" });
    const store = new ConnectorStore(new StateDb(target, "ferry"));
    return new CaptureBench({ rest, source, store, kafka, clock: systemClock }, target, urls.bootstrap);
  }

  get source(): MongoClient {
    return this.deps.source;
  }

  /** The source collection's raw documents by identity. */
  async documents(db: string, coll: string): Promise<Map<string, Buffer>> {
    const documents = new Map<string, Buffer>();
    for await (const raw of this.source.db(db).collection(coll).find({}, { raw: true })) {
      const bytes = Buffer.from(raw as unknown as Uint8Array);
      documents.set(identityOf(bytes), bytes);
    }
    return documents;
  }

  /** Inserts a last document into the source and folds the topic once that document is there. */
  async foldToNow(db: string, coll: string): Promise<Folded> {
    const { insertedId } = await this.source.db(db).collection<{ at: Date }>(coll).insertOne({ at: new Date() });
    const topic = `${db}.${coll}`;
    return waitFor(
      async () => {
        const folded = fold(await readTopic(this.bootstrap, topic));
        const id = insertedId.toHexString();
        const there = [...folded.documents.values()].some((doc) => doc.includes(Buffer.from(id, "hex")));
        return there ? { done: folded } : { seen: `${folded.records} records without the last one` };
      },
      { what: `the last document in ${topic}`, clock: systemClock, timeoutMs: 30_000, everyMs: 200 },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([this.source.close(), this.target.close(), this.deps.kafka[Symbol.asyncDispose]()]);
  }
}
