import { BSON, type Collection, type Db, type Document, Double, Int32, Long } from "mongodb";
import { Cursor, rawValue } from "#base/bson/walk.ts";
import { BsonWriter } from "#base/bson/writer.ts";
import { oneOf, type Random } from "#tools/workload/people.ts";

/** Field names of documents that are updated at random: some that sort apart from where they stand. */
export const updateNames = ["z", "m", "a", "k1", "k10", "k2", "o", "list"] as const;

export const randomValue = (random: Random): unknown =>
  oneOf<() => unknown>(random, [
    () => new Int32(Math.floor(random() * 9)),
    () => new Double(Math.floor(random() * 9)),
    () => Long.fromNumber(Math.floor(random() * 9)),
    () => "text",
    () => [1, 2, 3, 4, 5].slice(0, Math.floor(random() * 6)),
    () => ({ z: 1, a: { y: 2, b: 3 }, "0": "digit" }),
    () => [{ n: 1 }, { n: 2, list: [1, 2] }],
    () => null,
  ])();

/** Whatever an application may say; what the server refuses changes nothing and makes no event. */
export const randomUpdate = (random: Random): Document | Document[] => {
  const name = (): string => oneOf(random, updateNames);
  const path = (): string =>
    oneOf(random, [name(), `o.${name()}`, `list.${Math.floor(random() * 5)}`, "o.a.b", "list.1.n", "o.0"]);
  return oneOf<() => Document | Document[]>(random, [
    () => ({ $set: { [path()]: randomValue(random), [name()]: randomValue(random), [name()]: randomValue(random) } }),
    () => ({ $set: { z9: randomValue(random), b9: randomValue(random), m9: randomValue(random) } }),
    () => ({ $unset: { [path()]: "", z9: "", [name()]: "" } }),
    () => ({ $set: { [path()]: randomValue(random) }, $unset: { [`x${name()}`]: "", m9: "" } }),
    () => ({ $push: { list: { $each: [1, { n: 3 }], $slice: oneOf(random, [3, -3, 10]) } } }),
    () => ({ $pop: { list: oneOf(random, [1, -1]) } }),
    () => ({ $pull: { list: 1 } }),
    () => ({ $inc: { [path()]: 1 } }),
    () => ({ $rename: { a: "renamed", z: "o.moved" } }),
    () => [{ $set: { [name()]: "$m", list: { $slice: ["$list", 2] } } }],
    () => [{ $unset: ["o.a", "z"] }, { $set: { o: { $mergeObjects: ["$o", { q: 1 }] } } }],
  ])();
};

/** One event of a collection: as a server sends it that does not look documents up, and the document right behind it. */
export type DeltaEvent = Readonly<{ value: Buffer; image: Buffer | undefined }>;

/** A collection of whose updates `eventsSince` can tell the documents. */
export const withImages = (db: Db, name: string): Promise<Collection<Document>> =>
  db.createCollection(name, { changeStreamPreAndPostImages: { enabled: true } });

/**
 * The events of a collection `withImages` since `from`, until the one that names `last`.
 * @param told as a server from 6.1 on tells them, which says where a path has names with dots or digits
 */
export const eventsSince = async (
  source: Collection,
  from: unknown,
  last: unknown,
  told: boolean,
): Promise<DeltaEvent[]> => {
  const since = { $changeStream: { startAtOperationTime: from, fullDocument: "required" } };
  const stream = source.aggregate([since], { raw: true } as object) as unknown as AsyncIterable<Buffer>;
  const events: DeltaEvent[] = [];
  const marker = Buffer.from(String(last));
  for await (const event of stream) {
    if (event.includes(marker)) break;
    const image = rawValue(event, "fullDocument");
    const update = rawValue(event, "updateDescription");
    if (image === undefined || update === undefined) events.push({ value: Buffer.from(event), image: undefined });
    else
      events.push({
        value: withoutDocument(event, told ? disambiguated(update, image) : update),
        image: Buffer.from(image),
      });
  }
  return events;
};

const withoutDocument = (event: Uint8Array, update: Uint8Array): Buffer => {
  const writer = new BsonWriter();
  const cursor = new Cursor();
  const at = writer.open();
  cursor.open(event);
  while (cursor.next()) {
    if (cursor.named(Buffer.from("updateDescription"))) writer.document("updateDescription", update);
    else if (!cursor.named(Buffer.from("fullDocument"))) writer.raw(event, cursor.nameStart - 1, cursor.valueEnd);
  }
  writer.close(at);
  return Buffer.from(writer.take());
};

/** What 6.1 adds to an updateDescription: the names of paths whose numbers are no indexes. No name of these documents has a dot. */
const disambiguated = (update: Uint8Array, image: Uint8Array): Uint8Array => {
  const { updatedFields, removedFields, truncatedArrays } = BSON.deserialize(update) as {
    updatedFields: Document;
    removedFields: string[];
    truncatedArrays: { field: string }[];
  };
  const document = BSON.deserialize(image);
  const paths = [...Object.keys(updatedFields), ...removedFields, ...truncatedArrays.map(({ field }) => field)];
  const odd = paths.filter((path) => hasNumberAsName(document, path.split(".")));
  const writer = new BsonWriter();
  const at = writer.open();
  writer.raw(update, 4, update.length - 1);
  const names = Object.fromEntries(odd.map((path) => [path, path.split(".")]));
  writer.document("disambiguatedPaths", BSON.serialize(names));
  writer.close(at);
  return writer.take();
};

const hasNumberAsName = (document: unknown, [name = "", ...rest]: readonly string[]): boolean => {
  if (/^\d+$/.test(name) && !Array.isArray(document)) return true;
  return rest.length > 0 && hasNumberAsName((document as Document)[name], rest);
};
