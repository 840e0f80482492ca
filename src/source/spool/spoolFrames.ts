import { crc32 } from "node:zlib";
import { isDocument } from "#base/bson/walk.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { ResumeToken } from "#source/stream/resumeToken.ts";
import type { EventBatch } from "#source/stream/sourceStream.ts";

/** What a spool keeps of one reply of the source. */
export type SpoolFrame = Pick<EventBatch, "events" | "token" | "invalidated" | "cutDown">;

/** Length of the body, its checksum, and that of these eight bytes: a damaged length is not taken for a torn end. */
const HEADER = 12;
const INVALIDATED = 1;
const CUT_DOWN = 2;

const framed = (parts: readonly Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts);
  const header = Buffer.alloc(HEADER);
  header.writeUInt32LE(body.length, 0);
  header.writeUInt32LE(crc32(body), 4);
  header.writeUInt32LE(crc32(header.subarray(0, 8)), 8);
  return Buffer.concat([header, body]);
};

/** Flags, the raw token with its length, then the raw events, each of which knows its own length. */
export const encodeFrame = ({ events, token, invalidated, cutDown }: SpoolFrame): Buffer => {
  const head = Buffer.alloc(3);
  head.writeUInt8((invalidated ? INVALIDATED : 0) | (cutDown ? CUT_DOWN : 0), 0);
  head.writeUInt16LE(token.bytes.length, 1);
  return framed([head, token.bytes, ...events]);
};

/** An older ferry kept the `_data` of a token alone. */
const tokenIn = (kept: Buffer): ResumeToken =>
  isDocument(kept) ? new ResumeToken(kept) : ResumeToken.stored({ _data: kept.toString("latin1") });

/** The events are views of `body`. */
export const decodeFrame = (body: Buffer): SpoolFrame => {
  const flags = body.readUInt8(0);
  const start = 3 + body.readUInt16LE(1);
  const token = tokenIn(body.subarray(3, start));
  const events: Uint8Array[] = [];
  for (let at = start; at < body.length; ) {
    const end = at + body.readInt32LE(at);
    if (end <= at || end > body.length) throw new FerryError("FERRY_BUG", "a frame that is sound holds half an event");
    events.push(body.subarray(at, end));
    at = end;
  }
  return { events, token, invalidated: (flags & INVALIDATED) !== 0, cutDown: (flags & CUT_DOWN) !== 0 };
};

/** The first frame of a segment: whose it is, and after which position it begins. */
export type SegmentHead = Readonly<{
  format: 1;
  capture: string;
  generation: number;
  start: ResumeToken;
  after: ResumeToken;
}>;

export const encodeHead = ({ start, after, ...head }: SegmentHead): Buffer =>
  framed([Buffer.from(JSON.stringify({ ...head, start: start.text, after: after.text }))]);

/** An older ferry wrote the `_data` of a token alone. */
const tokenOf = (text: string): ResumeToken =>
  text.startsWith("{") ? ResumeToken.parse(text) : ResumeToken.stored({ _data: text });

/** @throws FERRY_CAPTURE_SPOOL where it is of another format */
export const decodeHead = (body: Buffer): SegmentHead => {
  const { start, after, ...head } = JSON.parse(body.toString()) as Omit<SegmentHead, "start" | "after"> & {
    start: string;
    after: string;
  };
  if (head.format !== 1) throw new FerryError("FERRY_CAPTURE_SPOOL", `it has format ${head.format}, not 1`);
  return { ...head, start: tokenOf(start), after: tokenOf(after) };
};

export type BodyAt =
  | Readonly<{ body: Buffer; end: number }>
  /** So many bytes from `at` on are needed. */
  | Readonly<{ needs: number }>
  /** A checksum does not match; `end` is known where that of the header does. */
  | Readonly<{ damagedTo: number | undefined }>;

/** The body of the frame that begins at `at`. */
export const bodyAt = (bytes: Buffer, at: number): BodyAt => {
  if (bytes.length - at < HEADER) return { needs: HEADER };
  if (crc32(bytes.subarray(at, at + 8)) !== bytes.readUInt32LE(at + 8)) return { damagedTo: undefined };
  const end = at + HEADER + bytes.readUInt32LE(at);
  if (end > bytes.length) return { needs: end - at };
  const body = bytes.subarray(at + HEADER, end);
  return crc32(body) === bytes.readUInt32LE(at + 4) ? { body, end } : { damagedTo: end };
};
