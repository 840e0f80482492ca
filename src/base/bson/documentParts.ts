/** Documents put together from pieces that are BSON already: their values are never decoded. */

/** A document from pieces: length, pieces, closing zero. */
export const documentOf = (...pieces: readonly Uint8Array[]): Buffer => {
  const size = pieces.reduce((sum, piece) => sum + piece.length, 5);
  const out = Buffer.allocUnsafe(size);
  out.writeInt32LE(size, 0);
  let at = 4;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  out[at] = 0;
  return out;
};

/** Type byte and name of an element; its value follows. */
export const head = (type: number, name: string): Buffer =>
  Buffer.from(`${String.fromCharCode(type)}${name}\0`, "latin1");
