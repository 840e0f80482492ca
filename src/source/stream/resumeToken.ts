import { BSON, type Document, EJSON } from "bson";
import { RawValue } from "#base/bson/rawValue.ts";
import { BsonType, find } from "#base/bson/walk.ts";
import { FerryError } from "#base/errors/ferryError.ts";

/** A token as a record on the target shows it, decoded: to be looked at. `ResumeToken.stored` makes it one that can be resumed from. */
export type StoredToken = Readonly<{ _data: string }>;

/**
 * A change stream's resume token, whole, as the server gave it: `{ _data: "82…" }`, and `_typeBits` where the `_id` in it is
 * one of many numbers. Without these a server does not find the position again. Stands as it is in commands and records.
 */
export class ResumeToken extends RawValue {
  /** The token's position, hexadecimal: equal for equal positions. */
  readonly _data: string;

  /** @param raw the server's document. @throws FERRY_BUG where it is no token */
  constructor(raw: Uint8Array) {
    super(BsonType.object, Buffer.from(raw));
    const data = find(raw, "_data");
    if (data?.type !== BsonType.string)
      throw new FerryError("FERRY_BUG", "a resume token has no _data, or not as text");
    this._data = Buffer.from(raw).toString("latin1", data.start + 4, data.end - 1);
  }

  /** What a record of ferry or a reply holds, decoded: text and binary values alone, which come back as the same bytes. */
  static stored(token: StoredToken): ResumeToken {
    return new ResumeToken(BSON.serialize(token as Document));
  }

  /** From `text`. @throws where it is none */
  static parse(text: string): ResumeToken {
    return ResumeToken.stored(EJSON.parse(text, { relaxed: false }) as StoredToken);
  }

  isAt(other: StoredToken): boolean {
    return this._data === other._data;
  }
}

/**
 * The cluster time inside a resume token as 64 bits (seconds << 32 | increment), 0n for something else. A token is a
 * KeyString that begins with the Timestamp type byte 0x82 (MongoDB source, resume_token.cpp). Used to tell how old a
 * position is; which of two tokens is later within one instant is for the server to say.
 */
export const tokenTime = ({ _data }: StoredToken): bigint =>
  /^82[0-9A-F]{16}/i.test(_data) ? BigInt(`0x${_data.slice(2, 18)}`) : 0n;

/** The one that is later, as far as their times tell. */
export const laterOf = <T extends StoredToken>(a: T, b: T): T => (tokenTime(a) > tokenTime(b) ? a : b);

/** Seconds since the epoch of a 64-bit cluster time. */
export const secondsOf = (at: bigint): number => Number(at >> 32n);

/** A 64-bit cluster time for people, to the second. */
export const timeText = (at: bigint): string => new Date(secondsOf(at) * 1000).toISOString();

/** When a change was made, ms since the epoch. Its time is known to the second: it counts as made at the end of it, so that lag is never overstated. */
export const lastMsOf = (at: bigint): number => secondsOf(at) * 1000 + 999;
