import type { Binary, Timestamp } from "bson";
import { assert } from "#base/errors/ferryError.ts";
import type { StateTx } from "#base/flow/stateTx.ts";
import type { Clash, TargetOp } from "#base/flow/types.ts";

/** What a kind of target can do. What it cannot do is refused when the configuration is read, not when it is needed. */
export type Abilities = Readonly<{
  /** Are documents written in the transaction that moves the lane's position? Otherwise each batch is applied at least once. */
  transactions: boolean;
  /** Does it have indexes, views and options that follow the source's? */
  structure: boolean;
  /** Can it tell what others write to it? `merge` and `keep-target` need it. */
  foreignWrites: boolean;
  /** Can one incarnation of a collection be dropped and no other? Drops and renames of the source need it. */
  incarnations: boolean;
  /** Can it list the keys of its documents? */
  keys: boolean;
  /** Does it take changes of a document? Otherwise each update needs its whole document, and so the worker a source. */
  patches: boolean;
  /**
   * Are documents kept byte for byte? Otherwise `read` answers what the target keeps of them (`form`), and a fresh document goes
   * over what is there as any other does.
   */
  verbatim: boolean;
}>;

/**
 * What a target means by refusing to write.
 * - `exists`: a document that was tried as a new one is there already; `doc`: the one that was tried, where that is known;
 * - `respelled`: the document is there under another spelling of its `_id`, which no replacement may change;
 * - `rejected`: a document is refused for a reason of its own;
 * - `contended`: another client writes the same documents at the same time.
 */
export type Refusal = Readonly<
  { kind: "exists"; doc: Uint8Array | undefined } | { kind: "respelled" | "rejected" | "contended" }
>;

/** Does the refusal concern a document, and not the moment? */
export const isOfDocument = (refusal: Refusal | undefined): refusal is Refusal =>
  refusal !== undefined && refusal.kind !== "contended";

/** What the target says of a refusal, for the letter of the event that it refused. */
export type Explanation = Readonly<{
  /** The target's own error code. */
  serverCode?: number | undefined;
  clash?: Clash | undefined;
}>;

/** What a target keeps of a document, both raw. Pure. @throws the refusal, as `Sink.write` would, of one that it cannot keep */
export type Keeps = (document: Uint8Array) => Uint8Array;

/** How documents are compared with what a target keeps of them in a form of its own. */
export type Form = Readonly<{
  /** What `read` answers of a document that is as it should be. */
  keeps: Keeps;
  /** Does the target keep what it has of a document that is gone? */
  keepsGone: boolean;
  /** Goes through everything that the target has. */
  survey: () => Promise<Survey>;
}>;

/** What a target had at one time. */
export interface Survey {
  /** Raw documentKeys of those of these documents that it had otherwise, or not at all. @param documents as the route's rules leave them */
  unlike(documents: readonly Uint8Array[]): Promise<readonly Uint8Array[]>;
  /** Raw documentKeys of all that it had, in batches of about so many; what is known to be of a document that is gone is left out. */
  keys(batch: number): AsyncIterable<readonly Uint8Array[]>;
}

/**
 * Where a route's documents go: one collection or pool of one target. Every implementation passes test/contract/sink.test.ts;
 * docs/43-sinks.md says how one is added.
 */
export interface Sink {
  /** The target, as text in messages. */
  readonly name: string;
  readonly can: Abilities;
  /** Most documents that one batch should have, where that is fewer than what a server takes at once. */
  readonly batchCount: number | undefined;
  /** Makes the target ready for its first write. Idempotent, and safe for several workers at once. */
  prepare(): Promise<void>;
  /** Are there documents? `at`: the target's clusterTime by now, where it has one. */
  look(): Promise<Readonly<{ occupied: boolean; at: Timestamp | undefined }>>;
  /**
   * The documents of these raw documentKeys, raw, in any order; missing ones are left out.
   * @param at as of this clusterTime (`can.foreignWrites`); undefined for the newest
   */
  read(keys: readonly Uint8Array[], at?: Timestamp): Promise<readonly Uint8Array[]>;
  /** Raw documentKeys of all documents, in batches of about so many (`can.keys`). */
  keys(batch: number): AsyncIterable<readonly Uint8Array[]>;
  /**
   * Writes a batch. Resolves when all of it is durable, or part of `tx` (`can.transactions`). Without `tx` a batch may be
   * written again from its beginning: each operation is idempotent.
   * @throws an error that `refusal` knows, where the target refuses an operation
   */
  write(ops: readonly TargetOp[], tx: StateTx | undefined): Promise<void>;
  /** What an error of `write`, or of the commit after it, says of the documents; undefined where it says nothing of them. */
  refusal(error: unknown): Refusal | undefined;
  /** More about a refusal; asks the target where it helps. Never throws. */
  explain(error: unknown): Promise<Explanation>;
  /** How documents are compared with what it keeps of them; undefined with `can.verbatim`. */
  readonly form: (() => Promise<Form>) | undefined;
  /** Undefined without `can.incarnations`. */
  readonly incarnations: Incarnations | undefined;
}

/** What drops and renames of the source work with. Without it these are refused before anything is applied. @throws FERRY_BUG */
export const incarnationsOf = ({ name, incarnations }: Sink): Incarnations => {
  assert(incarnations !== undefined, `${name} has no incarnations to drop`);
  return incarnations;
};

/** A collection that is dropped and made again under its name is another incarnation, with a UUID of its own. */
export interface Incarnations {
  /** The one that is there; undefined where there is none. */
  uuid(): Promise<Binary | undefined>;
  /** Drops this one and no other; a no-op where it is gone. */
  drop(uuid: Binary): Promise<void>;
}
