/**
 * Reading raw BSON where it lies: no objects, no copies, every step bounds-checked. Positions are byte offsets into the
 * array given; a slice is `[start, end)`. UTF-8 is not judged: what MongoDB stored is carried as it is.
 * Source: https://bsonspec.org/spec.html, deprecated types included.
 */

/** Type bytes of BSON elements. */
export const BsonType = {
  double: 0x01,
  string: 0x02,
  object: 0x03,
  array: 0x04,
  binary: 0x05,
  undefined: 0x06,
  objectId: 0x07,
  boolean: 0x08,
  date: 0x09,
  null: 0x0a,
  regex: 0x0b,
  dbPointer: 0x0c,
  code: 0x0d,
  symbol: 0x0e,
  codeWithScope: 0x0f,
  int32: 0x10,
  timestamp: 0x11,
  int64: 0x12,
  decimal128: 0x13,
  maxKey: 0x7f,
  minKey: 0xff,
} as const;

/** The server's own ceiling for nesting (its `maxBSONDepth` parameter goes no higher). */
export const MAX_DEPTH = 250;

/** The smallest document: a length and the closing zero. */
const EMPTY = 5;

const SHAPE_INVALID = -1;
const SHAPE_STRING = -2;
const SHAPE_DOCUMENT = -3;
const SHAPE_BINARY = -4;
const SHAPE_REGEX = -5;
const SHAPE_POINTER = -6;
const SHAPE_SCOPED = -7;

/** Per type byte: the fixed size of its value, or which variable shape it has. */
const shapes = ((): Int8Array => {
  const table = new Int8Array(256).fill(SHAPE_INVALID);
  const put = (size: number, ...types: readonly number[]): void => {
    for (const type of types) table[type] = size;
  };
  put(0, BsonType.undefined, BsonType.null, BsonType.maxKey, BsonType.minKey);
  put(1, BsonType.boolean);
  put(4, BsonType.int32);
  put(8, BsonType.double, BsonType.date, BsonType.timestamp, BsonType.int64);
  put(12, BsonType.objectId);
  put(16, BsonType.decimal128);
  put(SHAPE_STRING, BsonType.string, BsonType.code, BsonType.symbol);
  put(SHAPE_DOCUMENT, BsonType.object, BsonType.array);
  put(SHAPE_BINARY, BsonType.binary);
  put(SHAPE_REGEX, BsonType.regex);
  put(SHAPE_POINTER, BsonType.dbPointer);
  put(SHAPE_SCOPED, BsonType.codeWithScope);
  return table;
})();

/** Signed 32-bit little-endian integer at `at`; the caller has checked the bounds. */
export const int32At = (bytes: Uint8Array, at: number): number =>
  (bytes[at] as number) |
  ((bytes[at + 1] as number) << 8) |
  ((bytes[at + 2] as number) << 16) |
  ((bytes[at + 3] as number) << 24);

/** Unsigned 32-bit little-endian integer at `at`; the caller has checked the bounds. */
export const uint32At = (bytes: Uint8Array, at: number): number => int32At(bytes, at) >>> 0;

const stringSize = (bytes: Uint8Array, at: number, limit: number): number => {
  if (at + 5 > limit) return -1;
  const length = int32At(bytes, at);
  return length >= 1 && length <= limit - at - 4 && bytes[at + 3 + length] === 0 ? 4 + length : -1;
};

const documentSize = (bytes: Uint8Array, at: number, limit: number): number => {
  if (at + EMPTY > limit) return -1;
  const length = int32At(bytes, at);
  return length >= EMPTY && length <= limit - at && bytes[at + length - 1] === 0 ? length : -1;
};

const regexSize = (bytes: Uint8Array, at: number, limit: number): number => {
  let zeros = 0;
  for (let i = at; i < limit; i++) if (bytes[i] === 0 && ++zeros === 2) return i + 1 - at;
  return -1;
};

const binarySize = (bytes: Uint8Array, at: number, limit: number): number => {
  if (at + 5 > limit) return -1;
  const length = int32At(bytes, at);
  return length >= 0 && length <= limit - at - 5 ? 5 + length : -1;
};

/** int32 total, string, document; the two parts must fill the total exactly. */
const scopedSize = (bytes: Uint8Array, at: number, limit: number): number => {
  if (at + 14 > limit) return -1;
  const total = int32At(bytes, at);
  if (total < 14 || total > limit - at) return -1;
  const code = stringSize(bytes, at + 4, at + total);
  if (code < 0) return -1;
  return documentSize(bytes, at + 4 + code, at + total) === total - 4 - code ? total : -1;
};

const variableSize = (bytes: Uint8Array, shape: number, at: number, limit: number): number => {
  switch (shape) {
    case SHAPE_STRING:
      return stringSize(bytes, at, limit);
    case SHAPE_DOCUMENT:
      return documentSize(bytes, at, limit);
    case SHAPE_BINARY:
      return binarySize(bytes, at, limit);
    case SHAPE_REGEX:
      return regexSize(bytes, at, limit);
    case SHAPE_POINTER: {
      const name = stringSize(bytes, at, limit);
      return name >= 0 && name + 12 <= limit - at ? name + 12 : -1;
    }
    case SHAPE_SCOPED:
      return scopedSize(bytes, at, limit);
    default:
      return -1;
  }
};

/**
 * Size in bytes of the value of an element of `type` that starts at `at`, or -1 where the type is unknown, the value
 * does not fit before `limit`, or its own lengths and terminators contradict each other. Nested elements are not read.
 */
export const valueSize = (bytes: Uint8Array, type: number, at: number, limit: number): number => {
  const shape = shapes[type] as number;
  if (shape >= 0) return at + shape <= limit ? shape : -1;
  return variableSize(bytes, shape, at, limit);
};

/** Do these bytes have a document's frame: a length prefix equal to their size, and the closing zero? O(1). */
export const isDocument = (bytes: Uint8Array): boolean =>
  bytes.length >= EMPTY && int32At(bytes, 0) === bytes.length && bytes[bytes.length - 1] === 0;

/**
 * Steps over the elements of one document without allocating; reuse one instance for many documents. After `next()`
 * answered true the fields describe the element; after false, `broken` tells a damaged document from a finished one.
 */
export class Cursor {
  bytes: Uint8Array = new Uint8Array(0);
  type = 0;
  nameStart = 0;
  nameEnd = 0;
  valueStart = 0;
  valueEnd = 0;
  broken = false;
  /** Where the closing zero of the document lies. */
  #last = 0;

  /** Goes to the document that starts at `start`. False where its frame does not fit into `limit` bytes. */
  open(bytes: Uint8Array, start = 0, limit = bytes.length): boolean {
    const size = documentSize(bytes, start, limit);
    this.bytes = bytes;
    this.valueEnd = start + 4;
    this.#last = start + size - 1;
    this.broken = size < 0;
    return size >= 0;
  }

  next(): boolean {
    const { bytes } = this;
    const at = this.valueEnd;
    const last = this.#last;
    if (this.broken || at >= last) return false;
    // The closing zero stops this scan, so it needs no bound of its own.
    let end = at + 1;
    while (bytes[end] !== 0) end++;
    const type = bytes[at] as number;
    const size = end < last ? valueSize(bytes, type, end + 1, last) : -1;
    if (size < 0) {
      this.broken = true;
      return false;
    }
    this.type = type;
    this.nameStart = at + 1;
    this.nameEnd = end;
    this.valueStart = end + 1;
    this.valueEnd = end + 1 + size;
    return true;
  }

  /** Is the element's name exactly these bytes? */
  named(name: Uint8Array): boolean {
    const { length } = name;
    if (this.nameEnd - this.nameStart !== length) return false;
    const { bytes, nameStart } = this;
    for (let i = 0; i < length; i++) if (bytes[nameStart + i] !== name[i]) return false;
    return true;
  }

  /** Moves on to the first further element of this name. */
  seek(name: Uint8Array): boolean {
    while (this.next()) if (this.named(name)) return true;
    return false;
  }
}

/** One element's value: its type and where it lies. */
export type Slice = Readonly<{ type: number; start: number; end: number }>;

/** The first top-level element of this name, or undefined (also where the document is damaged before it). */
export const find = (bytes: Uint8Array, name: string, start = 0): Slice | undefined => {
  const cursor = new Cursor();
  if (!cursor.open(bytes, start) || !cursor.seek(Buffer.from(name))) return undefined;
  return { type: cursor.type, start: cursor.valueStart, end: cursor.valueEnd };
};

/** The raw value bytes of the first top-level element of this name: for a subdocument, the document itself. */
export const rawValue = (bytes: Uint8Array, name: string): Uint8Array | undefined => {
  const slice = find(bytes, name);
  return slice === undefined ? undefined : bytes.subarray(slice.start, slice.end);
};

const nameAt = (bytes: Uint8Array, start: number, end: number): string => {
  const text = Buffer.from(bytes.subarray(start, Math.min(end, start + 80))).toString();
  return JSON.stringify(text);
};

const flawOfValue = (
  bytes: Uint8Array,
  type: number,
  start: number,
  end: number,
  depth: number,
): string | undefined => {
  switch (type) {
    case BsonType.object:
    case BsonType.array:
      return flawIn(bytes, start, end, depth + 1);
    case BsonType.codeWithScope:
      return flawIn(bytes, start + 8 + int32At(bytes, start + 4), end, depth + 1);
    case BsonType.boolean:
      return (bytes[start] as number) > 1 ? "a boolean that is neither 0 nor 1" : undefined;
    default:
      return undefined;
  }
};

/** `[start, end)` is known to have a document's frame. `depth` below zero: do not descend. */
const flawIn = (bytes: Uint8Array, start: number, end: number, depth: number): string | undefined => {
  if (depth > MAX_DEPTH) return `nested deeper than ${MAX_DEPTH} levels`;
  const last = end - 1;
  let at = start + 4;
  while (at < last) {
    const type = bytes[at] as number;
    let nameEnd = at + 1;
    while (bytes[nameEnd] !== 0) nameEnd++;
    if (nameEnd >= last) return `the document ends within an element at byte ${at}`;
    const size = valueSize(bytes, type, nameEnd + 1, last);
    if (size < 0) {
      const what = shapes[type] === SHAPE_INVALID ? "has the unknown type" : "has damaged lengths; its type is";
      return `element ${nameAt(bytes, at + 1, nameEnd)} at byte ${at} ${what} 0x${type.toString(16).padStart(2, "0")}`;
    }
    if (
      depth >= 0 &&
      (type === BsonType.boolean || shapes[type] === SHAPE_DOCUMENT || type === BsonType.codeWithScope)
    ) {
      const flaw = flawOfValue(bytes, type, nameEnd + 1, nameEnd + 1 + size, depth);
      if (flaw !== undefined) return flaw;
    }
    at = nameEnd + 1 + size;
  }
  return undefined;
};

/**
 * What makes `[start, end)` no BSON document a server would take, as part of a sentence, or undefined where nothing
 * does. Checks the frame, every element's type, lengths and terminators, booleans, and nesting (at most 250 levels, as
 * the server). `nested: false` reads the top level only. UTF-8 is not judged.
 */
export const flawWithin = (bytes: Uint8Array, start: number, end: number, nested: boolean): string | undefined => {
  const size = end - start;
  if (size < EMPTY) return `${size} bytes are too few for a document`;
  const length = int32At(bytes, start);
  if (length !== size) return `its length says ${length} bytes, ${size} are there`;
  if (bytes[end - 1] !== 0) return "its closing zero is missing";
  return flawIn(bytes, start, end, nested ? 0 : -1);
};

/** `flawWithin` of all of these bytes. */
export const validate = (bytes: Uint8Array, options: Readonly<{ nested?: boolean }> = {}): string | undefined =>
  flawWithin(bytes, 0, bytes.length, options.nested ?? true);
