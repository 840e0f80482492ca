import { identityOf } from "#base/bson/identity.ts";
import type { CollectionAt } from "#io/mongo/collections.ts";
import { firstOfBatch, measureBatch, type RawReply } from "#io/mongo/rawCursor.ts";
import { documentKeyOf } from "#io/wire/documentKey.ts";
import { type Bounds, SideCursor } from "./side.ts";

/** What the target should hold of a source document; undefined: nothing. Pure. */
export type Expect = (document: Uint8Array) => Uint8Array | undefined;

/**
 * Where the target owns a part of its documents: what it should hold where it holds `actual`; undefined: nothing. Pure.
 * @param expected undefined where the source has no such document
 */
export type Onto = (expected: Uint8Array | undefined, actual: Uint8Array) => Uint8Array | undefined;

/** Is the target's document as it should be? */
export const isRight = (
  onto: Onto | undefined,
  expected: Uint8Array | undefined,
  actual: Uint8Array | undefined,
): boolean => {
  if (actual === undefined) return expected === undefined;
  if (expected !== undefined && Buffer.compare(expected, actual) === 0) return true;
  const wanted = onto?.(expected, actual);
  return wanted !== undefined && Buffer.compare(wanted, actual) === 0;
};

/** A document that was not as it should be when it was read. It may be on its way: only a second look can tell. */
export type Suspect = Readonly<{ kind: "missing" | "extra" | "different"; key: Uint8Array }>;

export type RangeDeps = Readonly<{
  source: CollectionAt;
  target: CollectionAt;
  /** Undefined where documents are carried as they are: then whole replies are compared. */
  expect: Expect | undefined;
  /** Undefined where the source owns whole documents. */
  onto: Onto | undefined;
  /** Documents of each reply. */
  batchSize: number;
  /** Takes what is to be looked at again; waits while there is too much of it. */
  suspect: (found: readonly Suspect[]) => Promise<void>;
  /** Everything before `next` has been compared; `documents` of it are new since the last call. Resume there. */
  progress: (next: Uint8Array | undefined, documents: number) => Promise<void>;
  signal: AbortSignal;
}>;

/** The target's side of a comparison. */
interface Match {
  /**
   * Moves `last` to the last document that was found as it should be.
   * @param isLast nothing may follow
   * @returns the source's documents that need a closer look, with what the target has between and behind them; undefined: none
   */
  next(reply: RawReply, isLast: boolean): Promise<readonly Uint8Array[] | undefined>;
  readonly last: Uint8Array | undefined;
}

/** Where nothing transforms: equal documents make equal replies. */
class WholeReplies implements Match {
  readonly #cursor: SideCursor;
  #ended = false;
  last: Uint8Array | undefined;

  constructor(cursor: SideCursor) {
    this.#cursor = cursor;
  }

  async next(reply: RawReply, isLast: boolean): Promise<readonly Uint8Array[] | undefined> {
    const other = this.#ended ? undefined : await this.#next();
    if (other === undefined || Buffer.compare(reply.batch, other.batch) !== 0) return reply.documents;
    this.last = measureBatch(reply.batch).last ?? this.last;
    return isLast && !this.#ended && firstOfBatch((await this.#next()).batch) !== undefined ? [] : undefined;
  }

  async #next(): Promise<RawReply> {
    const reply = await this.#cursor.next();
    this.#ended = reply.ended;
    return reply;
  }
}

/** Where the target should hold something else: one document after the other. */
class EachDocument implements Match {
  readonly #cursor: SideCursor;
  readonly #deps: RangeDeps;
  #documents: readonly Uint8Array[] = [];
  #at = 0;
  #ended = false;
  last: Uint8Array | undefined;

  constructor(cursor: SideCursor, deps: RangeDeps) {
    this.#cursor = cursor;
    this.#deps = deps;
  }

  async next({ documents }: RawReply, isLast: boolean): Promise<readonly Uint8Array[] | undefined> {
    for (const [i, document] of documents.entries()) {
      const expected = expectedOf(this.#deps, document);
      if (expected === undefined) continue;
      const actual = await this.#peek();
      if (actual === undefined || !isRight(this.#deps.onto, expected, actual)) return documents.slice(i);
      this.#at++;
      this.last = expected;
    }
    return isLast && (await this.#peek()) !== undefined ? [] : undefined;
  }

  async #peek(): Promise<Uint8Array | undefined> {
    while (this.#at >= this.#documents.length && !this.#ended) {
      const reply = await this.#cursor.next();
      [this.#documents, this.#at, this.#ended] = [reply.documents, 0, reply.ended];
    }
    return this.#documents[this.#at];
  }
}

const expectedOf = ({ expect }: RangeDeps, document: Uint8Array): Uint8Array | undefined =>
  expect === undefined ? document : expect(document);

/** The reply behind one, where it has documents: a cursor may end with an empty one. */
export const following = async (reader: SideCursor, reply: RawReply): Promise<RawReply | undefined> => {
  if (reply.ended) return undefined;
  const next = await reader.next();
  return firstOfBatch(next.batch) === undefined ? undefined : next;
};

/**
 * Compares one range of both sides in the order of `_id`. While nothing transforms and both sides hold the same documents, their
 * replies are the same bytes, and are compared as such. From the first reply that differs, the target is read again between the
 * bounds of the source's reply, and joined by `_id`; after it both continue together. No order of values is needed here: only the
 * servers compare `_id`s, so every type and collation is right.
 */
export const compareRange = async (deps: RangeDeps, { from, to }: Bounds): Promise<void> => {
  const { source, target, expect, onto, batchSize, progress, signal } = deps;
  const open = async (start: Uint8Array | undefined): Promise<{ cursor: SideCursor; match: Match }> => {
    const cursor = await SideCursor.open(target, { from: start, to }, batchSize);
    const isPlain = expect === undefined && onto === undefined;
    return { cursor, match: isPlain ? new WholeReplies(cursor) : new EachDocument(cursor, deps) };
  };
  await using reader = await SideCursor.open(source, { from, to }, batchSize);
  let begin = from;
  let side = await open(begin);
  try {
    let reply: RawReply | undefined = await reader.next();
    while (reply !== undefined) {
      signal.throwIfAborted();
      const behind: RawReply | undefined = await following(reader, reply);
      // Dividing a reply makes an object of each document: replies that are equal are never divided.
      const first = behind && firstOfBatch(behind.batch);
      const next = first === undefined ? to : documentKeyOf(first);
      const unclear = await side.match.next(reply, behind === undefined);
      if (unclear !== undefined) {
        const { last } = side.match;
        await joinWindow(deps, unclear, last, {
          from: last === undefined ? begin : documentKeyOf(last),
          to: next,
        });
        await side.cursor[Symbol.asyncDispose]();
        begin = next;
        if (behind !== undefined) side = await open(begin);
      }
      await progress(next, measureBatch(reply.batch).count);
      reply = behind;
    }
  } finally {
    await side.cursor[Symbol.asyncDispose]();
  }
};

/** Joins the source's documents with what the target has in the same bounds. @param last as it should be on the target, at `from` */
const joinWindow = async (
  deps: RangeDeps,
  documents: readonly Uint8Array[],
  last: Uint8Array | undefined,
  bounds: Bounds,
): Promise<void> => {
  const { target, batchSize, suspect } = deps;
  const wanted = new Map<string, Uint8Array>();
  if (last !== undefined) wanted.set(identityOf(last), last);
  for (const document of documents) {
    const expected = expectedOf(deps, document);
    if (expected !== undefined) wanted.set(identityOf(expected), expected);
  }
  await using cursor = await SideCursor.open(target, bounds, batchSize);
  for (let ended = false; !ended; ) {
    const reply = await cursor.next();
    await suspect([...wrongIn(deps, reply.documents, wanted)]);
    ended = reply.ended;
  }
  await suspect([...wanted.values()].map((document) => ({ kind: "missing", key: documentKeyOf(document) })));
};

/** Takes what is there out of `wanted`. */
const wrongIn = function* (
  deps: RangeDeps,
  documents: readonly Uint8Array[],
  wanted: Map<string, Uint8Array>,
): Generator<Suspect> {
  for (const actual of documents) {
    const identity = identityOf(actual);
    const expected = wanted.get(identity);
    if (!isRight(deps.onto, expected, actual))
      yield { kind: expected === undefined ? "extra" : "different", key: documentKeyOf(actual) };
    wanted.delete(identity);
  }
};
