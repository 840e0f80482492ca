import { BsonWriter } from "#base/bson/writer.ts";
import { library } from "./library.ts";

/**
 * A batch of records in Kafka's own format (protocol, "Record Batch", magic 2), compressed and ready to be sent: all but the
 * sequence number is in place, which is its producer's to give.
 */
export type RecordBatch = Readonly<{ bytes: Buffer; count: number }>;

/** Whose batch it is, as the broker tells repetitions by it. */
export type Sequence = Readonly<{ producerId: bigint; producerEpoch: number; base: number }>;

/** What can be written as a record; its lengths are known before it is. */
export type RecordSource = Readonly<{ valueLength: number; writeValue: (out: BsonWriter) => void }>;

/** Where the fields of a batch's head lie. */
const LENGTH_AT = 8;
const MAGIC_AT = 16;
const CRC_AT = 17;
const ATTRIBUTES_AT = 21;
const LAST_OFFSET_AT = 23;
const FIRST_TIMESTAMP_AT = 27;
const MAX_TIMESTAMP_AT = 35;
const PRODUCER_ID_AT = 43;
const PRODUCER_EPOCH_AT = 51;
const BASE_SEQUENCE_AT = 53;
const COUNT_AT = 57;
const HEAD_BYTES = 61;
/** The length counts from behind itself. */
const LENGTH_FROM = LENGTH_AT + 4;

const MAGIC = 2;
const LZ4 = 3;
/** Attributes (none) and the timestamp's delta (none: all records have the batch's time), one byte each. */
const FIXED_BYTES = 2;
const NULL_LENGTH = -1;

const zigzag = (value: number): number => (value << 1) ^ (value >> 31);

const varintBytes = (value: number): number => {
  let rest = zigzag(value) >>> 0;
  let bytes = 1;
  for (; rest > 0x7f; rest >>>= 7) bytes++;
  return bytes;
};

const varint = (out: BsonWriter, value: number): void => {
  out.reserve(5);
  let rest = zigzag(value) >>> 0;
  for (; rest > 0x7f; rest >>>= 7) out.bytes[out.length++] = (rest & 0x7f) | 0x80;
  out.bytes[out.length++] = rest;
};

/** Writes records behind each other into one buffer, which it uses again for the next batch. */
export class RecordBatchWriter {
  readonly #body: BsonWriter;
  count = 0;

  constructor(capacity: number) {
    this.#body = new BsonWriter(capacity);
  }

  /** Bytes of all records so far, uncompressed. */
  get bytes(): number {
    return this.#body.length;
  }

  /** @param key `[start, end)` of these bytes, or undefined for none */
  add(key: Uint8Array | undefined, keyEnd: number, record: RecordSource): void {
    const body = this.#body;
    const { valueLength } = record;
    const keyBytes = key === undefined ? varintBytes(NULL_LENGTH) : varintBytes(keyEnd) + keyEnd;
    const size = FIXED_BYTES + varintBytes(this.count) + keyBytes + varintBytes(valueLength) + valueLength + 1;
    body.reserve(5 + size);
    varint(body, size);
    body.byte(0);
    body.byte(0);
    varint(body, this.count++);
    if (key === undefined) varint(body, NULL_LENGTH);
    else {
      varint(body, keyEnd);
      body.raw(key, 0, keyEnd);
    }
    varint(body, valueLength);
    record.writeValue(body);
    body.byte(0); // no headers
  }

  /** The batch so far; the writer starts again. @param now the records' time, ms since the epoch */
  take(now: number): RecordBatch {
    const { count } = this;
    const records = library().compressionsAlgorithms.lz4.compressSync(
      this.#body.bytes.subarray(0, this.#body.length),
    ) as Buffer;
    this.#body.reset();
    this.count = 0;
    const bytes = Buffer.allocUnsafe(HEAD_BYTES + records.length).fill(0, 0, HEAD_BYTES);
    bytes.writeInt32BE(bytes.length - LENGTH_FROM, LENGTH_AT);
    bytes[MAGIC_AT] = MAGIC;
    bytes.writeInt16BE(LZ4, ATTRIBUTES_AT);
    bytes.writeInt32BE(count - 1, LAST_OFFSET_AT);
    bytes.writeBigInt64BE(BigInt(now), FIRST_TIMESTAMP_AT);
    bytes.writeBigInt64BE(BigInt(now), MAX_TIMESTAMP_AT);
    bytes.writeInt32BE(count, COUNT_AT);
    bytes.set(records, HEAD_BYTES);
    return { bytes, count };
  }
}

/** Puts a producer's number on a batch. The same batch may be stamped again. */
export const stamp = ({ bytes }: RecordBatch, { producerId, producerEpoch, base }: Sequence): void => {
  bytes.writeBigInt64BE(producerId, PRODUCER_ID_AT);
  bytes.writeInt16BE(producerEpoch, PRODUCER_EPOCH_AT);
  bytes.writeInt32BE(base, BASE_SEQUENCE_AT);
  bytes.writeUInt32BE(library().crc32c(bytes.subarray(ATTRIBUTES_AT)) >>> 0, CRC_AT);
};
