import { isDocument } from "#base/bson/walk.ts";
import type { ChangeEvent, LogRecord, NoopEvent } from "#base/flow/types.ts";
import { type Unwrapped, unwrap } from "./envelope.ts";
import { EventReader } from "./event.ts";
import { Transcoder } from "./json/transcode.ts";
import { classifyKey, isHeartbeatKey, type Keyed } from "./recordKey.ts";
import { isStructEvent, unfoldStructEvent } from "./structEvent.ts";

/** A record understood, or one sentence that says why it cannot be. */
export type Decoded =
  | Readonly<{
      event: ChangeEvent;
      /** Resume token of a streamed event, `_id._data`, hexadecimal. Compare never, store always. */
      token: string | undefined;
      /** Meaningful where the event has a `key`; ddl and heartbeats are always keyed by the resume token. */
      keyed: Keyed;
      poison?: never;
    }>
  | Readonly<{ poison: string; event?: never; token?: never; keyed?: never }>;

export type Decoder = (record: LogRecord) => Decoded;

export type DecoderOptions = Readonly<{
  /** Validate documents to the bottom (default true), or only their top level. */
  nested?: boolean;
}>;

const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const nothing = (reason: NoopEvent["reason"]): ChangeEvent => ({
  op: "noop",
  reason,
  ns: { db: "", coll: "" },
  at: 0n,
  origin: "stream",
});

/**
 * A decoder for the records of one topic or partition. Detects the format of each record: BSON, extended JSON in
 * all dialects the connector writes, and what Kafka Connect's converters wrap around them. Never throws for what a
 * record holds. Where the value is BSON, the event's `key`, `doc`, `update` and `command` are slices of it: who keeps
 * one keeps the record.
 */
export const createDecoder = (options: DecoderOptions = {}): Decoder => {
  const reader = new EventReader({ nested: options.nested ?? true });
  const transcoder = new Transcoder();

  const fromBson = (bytes: Buffer, key: Buffer | null): Decoded => {
    const event = reader.read(bytes);
    if (typeof event === "string") return { poison: event };
    return { event, token: reader.token, keyed: classifyKey(key, reader.documentKey, transcoder) };
  };

  const fromNull = (key: Buffer | null): Decoded => ({
    event: nothing(isHeartbeatKey(key, transcoder) ? "heartbeat" : "tombstone"),
    token: undefined,
    keyed: classifyKey(key, undefined, transcoder),
  });

  const fromWrapped = (unwrapped: Unwrapped, key: Buffer | null): Decoded => {
    switch (unwrapped.kind) {
      case "bson":
        return fromBson(unwrapped.bytes, key);
      case "null":
        return fromNull(key);
      case "unknown":
        return { poison: unwrapped.reason };
      case "json": {
        const bytes = transcoder.document(unwrapped.text);
        if (bytes === undefined) return { poison: `The record is damaged JSON: ${transcoder.problem}.` };
        const event = isStructEvent(bytes) ? unfoldStructEvent(bytes, transcoder) : bytes;
        return typeof event === "string" ? { poison: event } : fromBson(event, key);
      }
    }
  };

  return (record) => {
    if (record.event !== undefined) return { event: record.event, token: undefined, keyed: "documentKey" };
    const key = record.key === null ? null : asBuffer(record.key);
    if (record.value === null) return fromNull(key);
    const value = asBuffer(record.value);
    return isDocument(value) ? fromBson(value, key) : fromWrapped(unwrap(value), key);
  };
};
