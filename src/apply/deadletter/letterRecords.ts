import { Binary, Long } from "bson";
import type { ErrorCode } from "#base/errors/catalogue.ts";
import type { Clash } from "#base/flow/types.ts";
import { ServerCode } from "#io/mongo/serverCodes.ts";

/** One event set aside. `_id` is its position, so that it is stored once however often it is met. */
export type DeadLetter = Readonly<{
  route: string;
  topic: string;
  partition: number;
  offset: number;
  lane: string;
  ns: string;
  /** Identity of the documentKey (`bson/identity.ts`), or of another one that the target holds to be the same; null where the record holds no key. */
  identity: string | null;
  /** Raw documentKey. */
  documentKey: Uint8Array | null;
  code: ErrorCode;
  reason: string;
  /** The target's own error code, where it was the target that refused. */
  serverCode?: number | undefined;
  /** The unique index that refused it, and whose the value is. */
  clash?: Clash | undefined;
  recordKey: Uint8Array | null;
  /** The record's value as it was on the topic. */
  raw: Uint8Array | null;
  logTimeMs: number;
}>;

/** `waiting` for a decision; `replay` or `discard` are decisions that the partition's owner carries out. */
export type LetterState = "waiting" | "replay" | "discard";

/** A letter as it is stored. `_id`: `route/partition/offset`. */
export type DeadLetterRecord = {
  _id: string;
  route: string;
  topic: string;
  partition: number;
  offset: Long;
  lane: string;
  ns: string;
  identity: Binary | null;
  documentKey: Binary | null;
  code: string;
  reason: string;
  serverCode: number | null;
  /** `other`: raw `{ _id }` of the document that has the value; null where it was not found. */
  clash: { index: string; other: Binary | null } | null;
  recordKey: Binary | null;
  /** Null when the value is empty or lies in chunks. */
  raw: Binary | null;
  rawBytes: number;
  chunks: number;
  logTime: Date;
  storedAt: Date;
  /** How often applying it was tried. */
  attempts: number;
  state: LetterState;
  /** When it is retried without a decision: a clash that may be only a matter of order. Null: never. */
  retryAt: Date | null;
};

/** A record may be as large as a document may be; beside its reason it would no longer fit one. */
export const INLINE_BYTES = 4 * 1024 * 1024;
export const CHUNK_BYTES = 8 * 1024 * 1024;

export const identityBinary = (identity: string): Binary => new Binary(Buffer.from(identity, "latin1"));

export const identityText = (identity: Binary): string => Buffer.from(identity.buffer).toString("latin1");

const MAX_TRIES = 5;

/**
 * One document gives up a unique value and another takes it, in different lanes: a clash of order, gone a moment later. So
 * clashes are tried again after 1, 4, 16 and 64 s before they count as real.
 */
export const nextTry = (attempts: number, serverCode: number | null, now = Date.now()): Date | null =>
  serverCode === ServerCode.DuplicateKey && attempts < MAX_TRIES ? new Date(now + 1000 * 4 ** (attempts - 1)) : null;

/** Is it to be carried out now, by a decision or by the clock? */
export const isDue = ({ state, retryAt }: Pick<DeadLetterRecord, "state" | "retryAt">, now = Date.now()): boolean =>
  state !== "waiting" || (retryAt !== null && retryAt.getTime() <= now);

const binary = (bytes: Uint8Array | null | undefined): Binary | null => (bytes ? new Binary(bytes) : null);

/** The reason in a letter; updated after each attempt. */
export type Why = Pick<DeadLetterRecord, "code" | "reason" | "serverCode" | "clash">;

export const whyOf = ({ code, reason, serverCode, clash }: Pick<DeadLetter, keyof Why>): Why => ({
  code,
  reason,
  serverCode: serverCode ?? null,
  clash: clash === undefined ? null : { index: clash.index, other: binary(clash.other) },
});

/** A letter's `_id`. */
export const letterId = ({ route, partition, offset }: Pick<DeadLetter, "route" | "partition" | "offset">): string =>
  `${route}/${partition}/${offset}`;

export const toRecord = (letter: DeadLetter, chunks: number): DeadLetterRecord => ({
  _id: letterId(letter),
  route: letter.route,
  topic: letter.topic,
  partition: letter.partition,
  offset: Long.fromNumber(letter.offset),
  lane: letter.lane,
  ns: letter.ns,
  identity: letter.identity === null ? null : identityBinary(letter.identity),
  documentKey: binary(letter.documentKey),
  ...whyOf(letter),
  recordKey: binary(letter.recordKey),
  raw: chunks > 0 ? null : binary(letter.raw),
  rawBytes: letter.raw?.length ?? 0,
  chunks,
  logTime: new Date(letter.logTimeMs),
  storedAt: new Date(),
  attempts: 1,
  state: "waiting",
  retryAt: nextTry(1, letter.serverCode ?? null),
});
