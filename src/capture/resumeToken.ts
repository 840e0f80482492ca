import { EJSON } from "bson";
import type { ConnectorOffset } from "./connectRest.ts";

/** A change stream's resume token, `{ _data: "82…" }`, as the server gives it. */
export type ResumeToken = Readonly<{ _data: string }>;

/** Where a connector's stored offset stands. */
export type OffsetState =
  | Readonly<{ kind: "none" }>
  /** In mid-copy: a restart copies from the beginning. */
  | Readonly<{ kind: "copying" }>
  | Readonly<{ kind: "streaming"; token: ResumeToken; heartbeat: boolean }>;

/**
 * The cluster time inside a resume token as 64 bits (seconds << 32 | increment), 0n for something else. A token is a
 * KeyString that begins with the Timestamp type byte 0x82 (MongoDB source, resume_token.cpp). Used to tell how old a
 * position is; which of two tokens is later within one instant is for the server to say.
 */
export const tokenTime = (token: ResumeToken): bigint =>
  /^82[0-9A-F]{16}/i.test(token._data) ? BigInt(`0x${token._data.slice(2, 18)}`) : 0n;

/** Seconds since the epoch of a 64-bit cluster time. */
export const secondsOf = (at: bigint): number => Number(at >> 32n);

const isToken = (value: unknown): value is ResumeToken =>
  typeof value === "object" && value !== null && typeof (value as { _data?: unknown })._data === "string";

/** Reads the offset of one partition name out of what Connect has stored for the connector. */
export const offsetState = (offsets: readonly ConnectorOffset[], partition: string): OffsetState => {
  const stored = offsets.find((entry) => entry.partition["ns"] === partition)?.offset;
  if (stored === undefined || stored === null) return { kind: "none" };
  if ("copy" in stored) return { kind: "copying" };
  let token: unknown;
  try {
    token = EJSON.parse(String(stored["_id"]));
  } catch {
    return { kind: "none" };
  }
  return isToken(token) ? { kind: "streaming", token, heartbeat: "HEARTBEAT" in stored } : { kind: "none" };
};

/** The offset entry that makes the connector start its stream at a token, without a copy. */
export const offsetAt = (partition: string, token: ResumeToken): ConnectorOffset => ({
  partition: { ns: partition },
  offset: { _id: JSON.stringify({ _data: token._data }) },
});
