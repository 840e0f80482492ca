import type { Namespace, WriteEvent } from "./types.ts";

/** A class, since a getter of each object's own costs more than a filter. */
class Rewritten implements WriteEvent {
  readonly op = "write";
  readonly ns: Namespace;
  readonly origin: WriteEvent["origin"];
  readonly at: bigint;
  readonly doc: Uint8Array;
  readonly fresh: boolean;
  readonly #from: WriteEvent;

  constructor(from: WriteEvent, doc: Uint8Array, fresh: boolean) {
    this.ns = from.ns;
    this.origin = from.origin;
    this.at = from.at;
    this.doc = doc;
    this.fresh = fresh;
    this.#from = from;
  }

  get key(): Uint8Array {
    return this.#from.key;
  }
}

/** The same write with another document of the same key. No spread does it: a copied event makes its key when it is asked for it. */
export const withDocument = (event: WriteEvent, doc: Uint8Array, fresh = event.fresh): WriteEvent =>
  new Rewritten(event, doc, fresh);
