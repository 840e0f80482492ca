import { type Static, Type } from "typebox";
import { Value } from "typebox/value";
import { readTextFile } from "#base/config/textFile.ts";
import { FerryError } from "#base/errors/ferryError.ts";

const HEX = Type.String({ pattern: "^[0-9a-f]{64}$" });
const TIME = Type.Object({ t: Type.Integer(), i: Type.Integer() });
const SIDE = Type.Object({
  /** clusterTime before the first document was read, and after the last one. */
  from: TIME,
  to: TIME,
  server: Type.String(),
  setName: Type.Union([Type.String(), Type.Null()]),
});
const SET = Type.Object({ count: Type.Integer(), digest: HEX });
const NAMESPACE = Type.Object({
  route: Type.String(),
  from: Type.String(),
  to: Type.String(),
  rules: Type.Object({
    fields: Type.Optional(Type.Unknown()),
    where: Type.Optional(Type.Unknown()),
    drift: Type.Unknown(),
    conflict: Type.String(),
  }),
  rulesSha256: HEX,
  /** The source's documents as they lie, what the route makes of them, and the target's. */
  source: SET,
  expected: SET,
  target: SET,
  /** Is the target what is expected? Null where its services own a part of the documents: a digest cannot tell. */
  equal: Type.Union([Type.Boolean(), Type.Null()]),
});

/** What `ferry receipt` writes: docs/48-receipt.md. */
export const RECEIPT = Type.Object({
  ferryReceipt: Type.Literal(1),
  ferry: Type.String(),
  madeAt: Type.String(),
  source: SIDE,
  target: SIDE,
  /** Nothing of it was written to, on either side, while it was read. */
  still: Type.Boolean(),
  /** Every namespace is equal, or null if that is unknown for one of them. */
  equal: Type.Union([Type.Boolean(), Type.Null()]),
  namespaces: Type.Array(NAMESPACE),
});

export type Receipt = Static<typeof RECEIPT>;
export type ReceiptNamespace = Static<typeof NAMESPACE>;
export type DocumentSet = Static<typeof SET>;
export type ReceiptTime = Static<typeof TIME>;

/** @throws FERRY_RECEIPT_FILE where it cannot be read, or is no receipt */
export const readReceipt = (file: string): Receipt => {
  const unreadable = (reason: string): FerryError => new FerryError("FERRY_RECEIPT_FILE", `${file}: ${reason}`);
  let found: unknown;
  try {
    found = JSON.parse(readTextFile(file, unreadable));
  } catch (error) {
    throw error instanceof FerryError ? error : unreadable("not valid JSON");
  }
  if (!Value.Check(RECEIPT, found)) throw unreadable("not a receipt of this version of ferry");
  return found;
};
