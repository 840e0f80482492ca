import type { Entry } from "#apply/plan/entry.ts";
import { identityOf } from "#base/bson/identity.ts";
import { type RetryOptions, retryForever } from "#base/flow/retry.ts";
import type { PatchEvent } from "#base/flow/types.ts";
import type { SourceDocuments } from "#source/stream/sourceDocuments.ts";

/** Keys per query, and bytes after which the rest of a batch waits for the next turn. */
const MAX_KEYS = 500;
const MAX_BYTES = 16 * 1024 * 1024;
const FIRST_KEYS = 16;

export type Completed = Readonly<{
  /** The entries taken, their deltas replaced by the document as it is now (or by a no-op where it is gone). */
  completed: readonly Entry[];
  /** How many entries, from `from` on, that is. */
  taken: number;
}>;

/** clusterTime of the newest of these updates: the source has come that far, or the event would not be here. */
const timeOf = (entries: readonly Entry[], from: number): bigint =>
  entries
    .slice(from)
    .reduce((newest, { event }) => (event?.op === "patch" && event.at > newest ? event.at : newest), 0n);

/**
 * Completes updates that came without their document by looking it up at the source. A document may already be newer than
 * its event: its later events follow and change nothing more, so the target converges to the same bytes.
 */
export class Lookup {
  readonly #source: SourceDocuments;
  readonly #retry: RetryOptions;
  #averageBytes = MAX_BYTES / FIRST_KEYS;

  constructor(source: SourceDocuments, retryOptions: RetryOptions) {
    this.#source = source;
    this.#retry = retryOptions;
  }

  /** Takes as many entries as keep the looked-up documents within memory. @throws FERRY_MONGO_* of the source */
  async complete(entries: readonly Entry[], from: number): Promise<Completed> {
    const documents = new Map<string, Uint8Array>();
    const newest = timeOf(entries, from);
    let wanted = new Map<string, Uint8Array>();
    let bytes = 0;
    let to = from;
    for (; to < entries.length && bytes < MAX_BYTES; to++) {
      const event = entries[to]?.event;
      if (event?.op !== "patch") continue;
      const identity = identityOf(event.key);
      if (!documents.has(identity)) wanted.set(identity, event.key);
      if (wanted.size >= this.#keysAtOnce()) {
        bytes += await this.#fetch(wanted, newest, documents);
        wanted = new Map();
      }
    }
    if (wanted.size > 0) await this.#fetch(wanted, newest, documents);
    return { completed: entries.slice(from, to).map((entry) => this.#replace(entry, documents)), taken: to - from };
  }

  #keysAtOnce(): number {
    return Math.max(1, Math.min(MAX_KEYS, Math.floor(MAX_BYTES / this.#averageBytes)));
  }

  /** @param newest clusterTime: what is found is not older, whichever member answers */
  async #fetch(
    wanted: ReadonlyMap<string, Uint8Array>,
    newest: bigint,
    into: Map<string, Uint8Array>,
  ): Promise<number> {
    const found = await retryForever(() => this.#source.read([...wanted.values()], newest), this.#retry);
    const bytes = found.reduce((sum, document) => sum + document.length, 0);
    for (const document of found) into.set(identityOf(document), document);
    if (found.length > 0) this.#averageBytes = Math.max(256, bytes / found.length);
    return bytes;
  }

  #replace(entry: Entry, documents: ReadonlyMap<string, Uint8Array>): Entry {
    const { event } = entry;
    if (event?.op !== "patch") return entry;
    const doc = documents.get(identityOf(event.key));
    const { ns, origin, at, key } = event satisfies PatchEvent;
    if (doc === undefined) return { ...entry, event: { op: "noop", reason: "deleted-since", ns, origin, at } };
    return { ...entry, event: { op: "write", ns, origin, at, key, doc, fresh: false } };
  }
}
