import { isDocument } from "#bson/walk.ts";
import type { ChangeEvent, LogRecord, NoopEvent } from "#flow/types.ts";
import { EventReader } from "./event.ts";
import type { Keyed } from "./recordKey.ts";

/** A record understood, or one sentence that says why it cannot be. */
export type Decoded =
  | Readonly<{
      event: ChangeEvent;
      /** Resume token of a streamed event, `_id._data`, hexadecimal. Compare never, store always. */
      token: string | undefined;
      keyed: Keyed;
      poison?: never;
    }>
  | Readonly<{ poison: string; event?: never }>;

export type Decoder = (record: LogRecord) => Decoded;

const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const nullValue = (reason: NoopEvent["reason"]): ChangeEvent => ({
  op: "noop",
  reason,
  ns: { db: "", coll: "" },
  at: 0n,
  origin: "stream",
});

const HEARTBEAT = Buffer.from('{"_data"');

export type DecoderOptions = Readonly<{
  /** Validate documents to the bottom (default true), or only their top level. */
  nested?: boolean;
}>;

/**
 * A decoder for the records of one partition or topic; keeps the last namespace and time, so do not share it between
 * threads. Never throws for what a record holds. The event's `key`, `doc`, `update` and `command` are slices of the
 * record's value where that is BSON: whoever keeps one keeps the record.
 */
export const createDecoder = (options: DecoderOptions = {}): Decoder => {
  const reader = new EventReader({ nested: options.nested ?? true });

  const fromBson = (bytes: Buffer, key: Uint8Array | null): Decoded => {
    const event = reader.read(bytes);
    if (typeof event === "string") return { poison: event };
    return { event, token: reader.token, keyed: key === null ? "none" : "documentKey" };
  };

  return ({ key, value }) => {
    if (value === null) {
      const heartbeat = key !== null && HEARTBEAT.equals(key.subarray(0, HEARTBEAT.length));
      return { event: nullValue(heartbeat ? "heartbeat" : "tombstone"), token: undefined, keyed: "none" };
    }
    const bytes = asBuffer(value);
    if (isDocument(bytes)) return fromBson(bytes, key);
    return { poison: "The record is not a BSON document." };
  };
};
