import { BSON, EJSON } from "bson";

/** Longer rules are cut: a letter's reason is read by people. */
const MOST = 1000;

/** Values of documents that the server names beside its rules: a rule is shown, a document's content is not. */
const VALUES = new Set(["consideredValue", "consideredValues", "consideredType", "failingDocumentId"]);

/** The values among them may be no UTF-8; they are left out. */
const LOOKING = { validation: { utf8: false } } as const;

/** Which rules of a validator a document failed (raw `errInfo`, since MongoDB 5.0), as text behind the server's own; empty without any. */
export const failedRule = (errInfo: Uint8Array | undefined): string => {
  const details = errInfo && BSON.deserialize(errInfo, LOOKING)["details"];
  if (details === undefined) return "";
  const text = JSON.stringify(EJSON.serialize(details, { relaxed: true }), (name, value: unknown) =>
    VALUES.has(name) ? undefined : value,
  );
  return `: ${text.length > MOST ? `${text.slice(0, MOST)}…` : text}`;
};
