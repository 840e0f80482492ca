import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32c, Reader, readRecordsBatch } from "@platformatic/kafka";
import fc from "fast-check";
import type { BsonWriter } from "#base/bson/writer.ts";
import { RecordBatchWriter, type RecordSource, stamp } from "#io/kafka/recordBatch.ts";

const source = (value: Uint8Array): RecordSource => ({
  valueLength: value.length,
  writeValue: (out: BsonWriter) => out.raw(value),
});

const hex = (some: Uint8Array | null): string | null => (some === null ? null : Buffer.from(some).toString("hex"));

/** Around every length at which a varint grows by a byte. */
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.constantFrom(63, 64, 8191, 8192, 1_048_575, 1_048_576).map((length) => new Uint8Array(length).fill(length & 0xff)),
);
const records = fc.array(fc.record({ key: fc.option(bytes), value: bytes }), { minLength: 1, maxLength: 150 });

test("a batch is read by the client library as it was written, twice from the same writer", () => {
  const writer = new RecordBatchWriter(16);
  fc.assert(
    fc.property(records, fc.bigInt(0n, 2n ** 62n), fc.nat(2 ** 31 - 1), (written, producerId, base) => {
      for (const { key, value } of written) writer.add(key ?? undefined, key?.length ?? 0, source(value));
      const batch = writer.take(1_700_000_000_123);
      stamp(batch, { producerId: 1n, producerEpoch: 0, base: 0 });
      stamp(batch, { producerId, producerEpoch: 7, base });
      const read = readRecordsBatch(Reader.from(batch.bytes));
      assert.equal(batch.count, written.length);
      assert.equal(read.length, batch.bytes.length - 12);
      assert.equal(read.magic, 2);
      assert.equal(read.crc, crc32c(batch.bytes.subarray(21)) >>> 0);
      assert.equal(read.lastOffsetDelta, written.length - 1);
      assert.equal(read.firstTimestamp, 1_700_000_000_123n);
      assert.equal(read.maxTimestamp, 1_700_000_000_123n);
      assert.deepEqual([read.producerId, read.producerEpoch, read.firstSequence], [producerId, 7, base]);
      assert.deepEqual(
        read.records.map(({ key, value, offsetDelta }) => [hex(key), hex(value), offsetDelta]),
        written.map(({ key, value }, offsetDelta) => [hex(key), hex(value), offsetDelta]),
      );
    }),
    { numRuns: 50 },
  );
});
