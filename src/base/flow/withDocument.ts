import type { WriteEvent } from "./types.ts";

/** The same write with another document of the same key. No spread does it: a copied event makes its key when it is asked for it. */
export const withDocument = (event: WriteEvent, doc: Uint8Array, fresh = event.fresh): WriteEvent => {
  const { ns, origin, at } = event;
  return {
    ...{ op: "write", ns, origin, at, doc, fresh },
    get key() {
      return event.key;
    },
  };
};
