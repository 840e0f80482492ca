import { createHash } from "node:crypto";
import type { Collection } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";

export type Comparison = Readonly<{ source: number; target: number; different: number; sha256: string }>;

const rawDocuments = (collection: Collection): Promise<readonly Uint8Array[]> =>
  translated(`reading ${collection.namespace}`, async () => {
    const found = collection.find({}, { raw: true, sort: { _id: 1 } });
    return (await found.toArray()) as unknown as readonly Uint8Array[];
  });

/**
 * Compares two small collections document by document, as the servers store them: every byte, so every type and the
 * order of fields. `sha256` is over the source's documents in `_id` order. @throws FERRY_MONGO_*
 */
export const compareBytes = async (source: Collection, target: Collection): Promise<Comparison> => {
  const [ours, theirs] = await Promise.all([rawDocuments(source), rawDocuments(target)]);
  const hash = createHash("sha256");
  for (const document of ours) hash.update(document);
  const longer = Math.max(ours.length, theirs.length);
  const none = new Uint8Array();
  const different = Array.from({ length: longer }).filter(
    (_, index) => Buffer.compare(ours[index] ?? none, theirs[index] ?? none) !== 0,
  ).length;
  return { source: ours.length, target: theirs.length, different, sha256: hash.digest("hex") };
};
