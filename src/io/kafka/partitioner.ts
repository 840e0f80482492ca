/** Kafka's own hash of keys (Utils.murmur2 of its Java client), so that a key has one partition for every writer. */
export const murmur2 = (key: Uint8Array, length = key.length): number => {
  const M = 0x5bd1e995;
  let h = 0x9747b28c ^ length;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    let k =
      (key[at] as number) |
      ((key[at + 1] as number) << 8) |
      ((key[at + 2] as number) << 16) |
      ((key[at + 3] as number) << 24);
    k = Math.imul(k, M);
    k = Math.imul(k ^ (k >>> 24), M);
    h = Math.imul(h, M) ^ k;
  }
  const rest = length - at;
  if (rest > 2) h ^= (key[at + 2] as number) << 16;
  if (rest > 1) h ^= (key[at + 1] as number) << 8;
  if (rest > 0) h = Math.imul(h ^ (key[at] as number), M);
  h = Math.imul(h ^ (h >>> 13), M);
  return h ^ (h >>> 15);
};

/** The partition that Kafka's default partitioner gives to a key: the first `length` of these bytes. */
export const partitionOf = (key: Uint8Array, length: number, partitions: number): number =>
  (murmur2(key, length) & 0x7fffffff) % partitions;
