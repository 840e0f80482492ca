import { type Collection, type Document, Double, Int32, Long } from "mongodb";
import { pick, type Random } from "#run/genData.ts";

/** Field names of documents that are updated at random: some that sort apart from where they stand. */
export const updateNames = ["z", "m", "a", "k1", "k10", "k2", "o", "list"] as const;

export const randomValue = (random: Random): unknown =>
  pick<() => unknown>(random, [
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
  const name = (): string => pick(random, updateNames);
  const path = (): string =>
    pick(random, [name(), `o.${name()}`, `list.${Math.floor(random() * 5)}`, "o.a.b", "list.1.n", "o.0"]);
  return pick<() => Document | Document[]>(random, [
    () => ({ $set: { [path()]: randomValue(random), [name()]: randomValue(random), [name()]: randomValue(random) } }),
    () => ({ $set: { z9: randomValue(random), b9: randomValue(random), m9: randomValue(random) } }),
    () => ({ $unset: { [path()]: "", z9: "", [name()]: "" } }),
    () => ({ $set: { [path()]: randomValue(random) }, $unset: { [`x${name()}`]: "", m9: "" } }),
    () => ({ $push: { list: { $each: [1, { n: 3 }], $slice: pick(random, [3, -3, 10]) } } }),
    () => ({ $pop: { list: pick(random, [1, -1]) } }),
    () => ({ $pull: { list: 1 } }),
    () => ({ $inc: { [path()]: 1 } }),
    () => ({ $rename: { a: "renamed", z: "o.moved" } }),
    () => [{ $set: { [name()]: "$m", list: { $slice: ["$list", 2] } } }],
    () => [{ $unset: ["o.a", "z"] }, { $set: { o: { $mergeObjects: ["$o", { q: 1 }] } } }],
  ])();
};

/** The collection's events since `from`, raw, until the one that names `last`. */
export const eventsSince = async (source: Collection, from: unknown, last: unknown): Promise<Buffer[]> => {
  const stream = source.aggregate([{ $changeStream: { startAtOperationTime: from } }], { raw: true } as object);
  const events: Buffer[] = [];
  const marker = Buffer.from(String(last));
  for await (const event of stream as unknown as AsyncIterable<Buffer>) {
    if (event.includes(marker)) break;
    events.push(Buffer.from(event));
  }
  return events;
};
