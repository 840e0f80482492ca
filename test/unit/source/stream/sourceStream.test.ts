import assert from "node:assert/strict";
import { test } from "node:test";
import { Binary, BSON, type Document, Long } from "bson";
import type { MongoClient } from "#io/mongo/connect.ts";
import { ResumeToken } from "#source/stream/resumeToken.ts";
import { SourceStream } from "#source/stream/sourceStream.ts";

/** A token as the server gives it behind an event of a document whose `_id` is a large Int64. */
const tokenOf = (n: number): Document => ({ _data: `8265000000${n}`, _typeBits: new Binary(Buffer.from([0x82, n])) });

const event = (n: number, more: Document = {}): Document => ({ _id: tokenOf(n), operationType: "insert", ...more });
const fragment = (n: number, part: number, of: number): Document => event(n, { splitEvent: { fragment: part, of } });

type Reply = Readonly<{ events: readonly Document[]; behind: number }>;

/** A server that answers with these replies, one after the other. */
const server = (replies: readonly Reply[]): MongoClient => {
  let next = 0;
  const command = async (): Promise<Document> => {
    const { events = [], behind = 0 } = replies[next] ?? {};
    const name = next++ === 0 ? "firstBatch" : "nextBatch";
    const id = Long.fromNumber(next < replies.length ? 1 : 0);
    const cursor = { id, ns: "shop.$cmd.aggregate", [name]: events, postBatchResumeToken: tokenOf(behind) };
    return { cursor: Buffer.from(BSON.serialize(cursor)) };
  };
  return { startSession: () => ({ endSession: async () => undefined }), db: () => ({ command }) } as never;
};

const positions = async (replies: readonly Reply[]): Promise<{ events: number; token: Document }[]> => {
  await using stream = new SourceStream(
    {
      client: server(replies),
      watch: { level: "database", db: "shop", coll: "" },
      match: {},
      features: { expanded: true, split: true, system: false },
    },
    new ResumeToken(BSON.serialize(tokenOf(0))),
  );
  const seen: { events: number; token: Document }[] = [];
  for (const _ of replies) {
    const { events, token } = await stream.next(1);
    seen.push({ events: events.length, token: BSON.deserialize(token.bytes) });
  }
  return seen;
};

test("a position is the server's token, whole", async () => {
  const seen = await positions([
    { events: [event(1)], behind: 2 },
    { events: [], behind: 3 },
  ]);
  assert.deepEqual(seen, [
    { events: 1, token: tokenOf(2) },
    { events: 0, token: tokenOf(3) },
  ]);
});

test("while fragments of an event are outstanding, the position stays behind the last whole event", async () => {
  const seen = await positions([
    { events: [event(1), fragment(2, 1, 3)], behind: 2 },
    { events: [fragment(3, 2, 3)], behind: 3 },
    { events: [fragment(4, 3, 3), event(5), fragment(6, 1, 2)], behind: 6 },
    { events: [fragment(7, 2, 2)], behind: 8 },
  ]);
  assert.deepEqual(seen, [
    { events: 1, token: tokenOf(1) },
    { events: 0, token: tokenOf(1) },
    { events: 2, token: tokenOf(5) },
    { events: 1, token: tokenOf(8) },
  ]);
});
