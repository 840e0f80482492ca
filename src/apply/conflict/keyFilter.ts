import { hashIdentity } from "#base/bson/identity.ts";

const MANY = 2 ** 25;
const PROBES = 4;

const remix = (hash: number): number => {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x7feb352d);
  h ^= h >>> 15;
  return Math.imul(h, 0x846ca68b) | 1;
};

/**
 * Which keys may have been added, in 4 MB by default and whatever their number (a Bloom filter): never wrong about a key that
 * was, wrong about 1 in 6000 others at a million keys, 1 in 25 at five million.
 */
export class KeyFilter {
  /** Made for the first key: most targets have no other writers. */
  #words: Uint32Array | undefined;
  readonly #mask: number;

  /** @param bits a power of two, 32 at least */
  constructor(bits = MANY) {
    this.#mask = bits - 1;
  }

  add(documentKey: Uint8Array): void {
    this.#words ??= new Uint32Array((this.#mask + 1) / 32);
    let at = hashIdentity(documentKey);
    const step = remix(at);
    for (let i = 0; i < PROBES; i++) {
      const bit = at & this.#mask;
      this.#words[bit >>> 5] = (this.#words[bit >>> 5] as number) | (1 << (bit & 31));
      at = (at + step) | 0;
    }
  }

  mayHave(documentKey: Uint8Array): boolean {
    if (this.#words === undefined) return false;
    let at = hashIdentity(documentKey);
    const step = remix(at);
    for (let i = 0; i < PROBES; i++) {
      const bit = at & this.#mask;
      if (((this.#words[bit >>> 5] as number) & (1 << (bit & 31))) === 0) return false;
      at = (at + step) | 0;
    }
    return true;
  }
}
