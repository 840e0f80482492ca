import { type Document, MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { parseNamespace } from "#base/flow/types.ts";
import { connect, kafka, mongo } from "./servers.ts";

/** A stack of the test's own, connected clients, and how to end them. */
export const ownStack = async () => {
  const stack = new AsyncDisposableStack();
  const [source, target, broker] = await Promise.all([mongo({ name: "source" }), mongo({ name: "target" }), kafka()]);
  for (const server of [source, target, broker]) stack.use(server);
  const connectServer = stack.use(await connect(broker.bootstrap));
  const sourceClient = stack.use(await new MongoClient(source.uri).connect());
  const targetClient = stack.use(await new MongoClient(target.uri).connect());
  const end = (): Promise<void> => stack.disposeAsync();
  return { source, target, broker, connectServer, sourceClient, targetClient, [Symbol.asyncDispose]: end };
};

export type OwnStack = Awaited<ReturnType<typeof ownStack>>;

/** Writers begin when the stream is open: what the connector loses before is `ferry cx`'s to cure, and tested there. */
export const streams = async ({ sourceClient, targetClient }: OwnStack, topic: string): Promise<void> => {
  const { db, coll } = parseNamespace(topic);
  let n = 0;
  await waitFor(
    async () => {
      await sourceClient
        .db(db)
        .collection(coll)
        .insertOne({ _id: `probe-${n++}` } as Document);
      const seen = await targetClient
        .db(db)
        .collection(coll)
        .findOne({ _id: /^probe-/ } as Document);
      return seen === null ? { seen: `${n} probes` } : { done: undefined };
    },
    { what: "the first streamed event on the target", clock: systemClock, timeoutMs: 60_000, everyMs: 300 },
  );
};
