import { BsonType } from "./walk.ts";

/**
 * Appends BSON to one growing buffer. Elements go in order; a document is opened and closed by position:
 *
 *     const writer = new BsonWriter();
 *     const command = writer.open();
 *     writer.document("q", key);
 *     writer.boolean("upsert", true);
 *     writer.close(command);
 *     const bytes = writer.take();
 *
 * Reuse one instance for many documents: `take()` hands out a copy of its own size and starts again.
 */
export class BsonWriter {
  /** Everything up to `length` is written; the rest is spare room. Replaced when it grows: do not keep it. */
  bytes: Buffer;
  length = 0;

  constructor(capacity = 1024) {
    this.bytes = Buffer.allocUnsafe(capacity);
  }

  /** Makes room for `more` bytes beyond `length`. */
  reserve(more: number): void {
    const needed = this.length + more;
    if (needed <= this.bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.bytes.length * 2));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }

  reset(): void {
    this.length = 0;
  }

  /** The bytes written, as a copy that is the caller's; the writer starts again. */
  take(): Buffer {
    const copy = Buffer.allocUnsafe(this.length);
    this.bytes.copy(copy, 0, 0, this.length);
    this.length = 0;
    return copy;
  }

  byte(value: number): void {
    this.reserve(1);
    this.bytes[this.length++] = value;
  }

  rawInt32(value: number): void {
    this.reserve(4);
    this.putInt32(this.length, value);
    this.length += 4;
  }

  /** Overwrites four bytes already written. */
  putInt32(at: number, value: number): void {
    const { bytes } = this;
    bytes[at] = value;
    bytes[at + 1] = value >>> 8;
    bytes[at + 2] = value >>> 16;
    bytes[at + 3] = value >>> 24;
  }

  rawInt64(value: bigint): void {
    this.reserve(8);
    this.bytes.writeBigInt64LE(BigInt.asIntN(64, value), this.length);
    this.length += 8;
  }

  rawDouble(value: number): void {
    this.reserve(8);
    this.bytes.writeDoubleLE(value, this.length);
    this.length += 8;
  }

  /** Appends `[start, end)` of other bytes. */
  raw(bytes: Uint8Array, start = 0, end = bytes.length): void {
    const size = end - start;
    this.reserve(size);
    const { bytes: target, length } = this;
    // Calling into the runtime costs more than copying a field name by hand.
    if (size < 32) for (let i = 0; i < size; i++) target[length + i] = bytes[start + i] as number;
    else target.set(bytes.subarray(start, end), length);
    this.length = length + size;
  }

  /** Appends text as UTF-8, without length or zero. */
  text(value: string): void {
    this.reserve(value.length * 3);
    this.length += this.bytes.write(value, this.length);
  }

  /** Opens a document (or array) here: gives the position for `close`. */
  open(): number {
    const at = this.length;
    this.rawInt32(0);
    return at;
  }

  /** Closes the document that `open` began: writes its zero and its length. */
  close(at: number): void {
    this.byte(0);
    this.putInt32(at, this.length - at);
  }

  /** Type byte and name of an element; its value is to follow. Gives the position of the type byte. */
  element(type: number, name: string): number {
    const at = this.length;
    this.byte(type);
    this.text(name);
    this.byte(0);
    return at;
  }

  /** An element whose value is given raw. */
  value(type: number, name: string, bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.element(type, name);
    this.raw(bytes, start, end);
  }

  /** A subdocument, raw. */
  document(name: string, bytes: Uint8Array): void {
    this.value(BsonType.object, name, bytes);
  }

  /** An array, raw. */
  array(name: string, bytes: Uint8Array): void {
    this.value(BsonType.array, name, bytes);
  }

  string(name: string, value: string): void {
    this.element(BsonType.string, name);
    const at = this.open();
    this.text(value);
    this.byte(0);
    this.putInt32(at, this.length - at - 4);
  }

  boolean(name: string, value: boolean): void {
    this.element(BsonType.boolean, name);
    this.byte(value ? 1 : 0);
  }

  int32(name: string, value: number): void {
    this.element(BsonType.int32, name);
    this.rawInt32(value);
  }

  int64(name: string, value: bigint): void {
    this.element(BsonType.int64, name);
    this.rawInt64(value);
  }

  double(name: string, value: number): void {
    this.element(BsonType.double, name);
    this.rawDouble(value);
  }

  null(name: string): void {
    this.element(BsonType.null, name);
  }
}
