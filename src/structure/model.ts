import { type Document, EJSON } from "bson";
import type { Namespace } from "#flow/types.ts";

/**
 * What a collection is besides its documents, as a server lists it. Values keep their BSON types, so that a validator or a
 * partial filter arrives as it was written.
 */
export type CollectionSpec = Readonly<{
  ns: Namespace;
  kind: "collection" | "timeseries" | "view";
  /** As `listCollections` shows them, without what differs from server to server. */
  options: Document;
  /** All but the one on `_id`, in the server's order; finished ones. */
  indexes: readonly IndexSpec[];
  /** Names of those that the server is still building: a document may yet make it give one up. None where left out. */
  building?: readonly string[];
}>;

export type IndexSpec = Readonly<{
  name: string;
  /** Pairs, since an object would put names that look like numbers first. */
  key: readonly (readonly [path: string, direction: unknown])[];
  /** Everything else as `listIndexes` shows it. An index without collation in a collection with one says `simple`. */
  options: Document;
}>;

/** Flags that servers spell as true, 1, or not at all. */
const FLAGS = new Set(["unique", "sparse", "hidden", "prepareUnique"]);

export const isOn = (value: unknown): boolean => value !== undefined && value !== false && Number(value) !== 0;

/** What servers write out after a `collMod`, and leave out before. */
const DEFAULTS: Readonly<Record<string, unknown>> = { validationLevel: "strict", validationAction: "error" };

const plain = (value: unknown): string => EJSON.stringify({ value } as Document, { relaxed: true });

const isSimple = (collation: unknown): boolean => (collation as Document | undefined)?.["locale"] === "simple";

/** Options by name in a spelling that is equal where two servers mean the same. */
const meanings = (options: Document): Map<string, string> => {
  const entries = Object.entries(options).flatMap(([name, value]): [string, string][] => {
    if (FLAGS.has(name)) return isOn(value) ? [[name, "true"]] : [];
    if (name === "collation" && isSimple(value)) return [];
    if (DEFAULTS[name] === value) return [];
    if (name === "v" || name.endsWith("IndexVersion")) return [];
    return [[name, plain(value)]];
  });
  return new Map(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
};

/** Names of the options in which two specifications differ. */
export const differences = (a: Document, b: Document): string[] => {
  const [one, other] = [meanings(a), meanings(b)];
  const names = new Set([...one.keys(), ...other.keys()]);
  return [...names].filter((name) => one.get(name) !== other.get(name)).sort();
};

export const keyText = (index: Pick<IndexSpec, "key">): string =>
  `{ ${index.key.map(([path, direction]) => `${path}: ${EJSON.stringify(direction as Document, { relaxed: true })}`).join(", ")} }`;

/** What the server tells two indexes of one collection apart by, besides their names: two of one identity cannot both be there. */
export const indexIdentity = (index: IndexSpec): string => {
  const { hidden: _, expireAfterSeconds: __, ...options } = index.options;
  return JSON.stringify([keyText(index), ...meanings(options)]);
};

/** Are two indexes the same but for their name? */
export const sameIndex = (a: IndexSpec, b: IndexSpec): boolean =>
  keyText(a) === keyText(b) && differences(a.options, b.options).length === 0;

/** An index as `createIndexes` wants it. */
export const indexCommand = ({ name, key, options }: IndexSpec): Document => ({
  ...options,
  key: new Map(key),
  name,
});

/** A specification as text that comes back the same, types included; operators can read it in mongosh. */
export const specText = (spec: Document): string => EJSON.stringify(spec, { relaxed: false });
export const textSpec = (text: string): Document => EJSON.parse(text, { relaxed: false }) as Document;
