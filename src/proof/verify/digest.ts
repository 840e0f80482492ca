import { hash } from "node:crypto";

const BYTES = 32;

/**
 * An order-independent digest of a set of documents: the sum, modulo 2^256, of the SHA-256 of each document's BSON bytes, as a
 * big-endian number. Ranges can be digested apart and added, in any order; unlike XOR, a document that is
 * there twice does not vanish.
 */
export class Digest {
  /** The sum in 16 words of 16 bits, lowest first; each may hold carries of up to 2^32 additions before they are passed on. */
  readonly #words = new Float64Array(BYTES / 2);
  #count = 0;

  /** How many documents are in it. */
  get count(): number {
    return this.#count;
  }

  add(document: Uint8Array): void {
    const bytes = hash("sha256", document, "buffer");
    for (let i = 0; i < this.#words.length; i++) {
      const at = BYTES - 2 - 2 * i;
      this.#words[i] = (this.#words[i] as number) + (((bytes[at] as number) << 8) | (bytes[at + 1] as number));
    }
    this.#count++;
  }

  /** Adds what another digest holds. @param sum 64 hexadecimal digits */
  merge(sum: string, count: number): void {
    const bytes = Buffer.from(sum, "hex");
    for (let i = 0; i < this.#words.length; i++) {
      const at = BYTES - 2 - 2 * i;
      this.#words[i] = (this.#words[i] as number) + bytes.readUInt16BE(at);
    }
    this.#count += count;
  }

  /** The sum as 64 hexadecimal digits. */
  sum(): string {
    const bytes = Buffer.alloc(BYTES);
    let carry = 0;
    for (const [i, word] of this.#words.entries()) {
      const total = word + carry;
      bytes.writeUInt16BE(total % 0x10000, BYTES - 2 - 2 * i);
      carry = Math.floor(total / 0x10000);
    }
    return bytes.toString("hex");
  }
}
