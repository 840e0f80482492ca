import { BSON, EJSON } from "bson";
import { RawValue } from "#base/bson/rawValue.ts";
import { BsonType, Cursor } from "#base/bson/walk.ts";
import { BsonWriter } from "#base/bson/writer.ts";
import type { Namespace } from "#base/flow/types.ts";
import type { CollectionKind } from "#io/mongo/collections.ts";
import type { Document } from "#io/mongo/connect.ts";
import { isOn, meaningOf, type Options, optionsDocument, optionsIn, optionsWithin, textOf } from "./options.ts";
import type { StructureRecord } from "./structureRecords.ts";

/** What a collection is besides its documents, as a server lists it. */
export type CollectionSpec = Readonly<{
  ns: Namespace;
  kind: CollectionKind;
  /** As `listCollections` shows them, without what differs from server to server. */
  options: Options;
  /** All but the one on `_id`, in the server's order; finished ones. */
  indexes: readonly IndexSpec[];
  /** Names of those that the server is still building: a document may yet make it give one up. None where left out. */
  building?: readonly string[];
}>;

export type IndexSpec = Readonly<{
  name: string;
  /** The server's document of paths and directions. */
  key: RawValue;
  /** Everything else as `listIndexes` shows it. An index without collation in a collection with one says `simple`. */
  options: Options;
}>;

/** A path of an index and its direction, to be looked at. */
export type KeyPart = Readonly<{ path: string; direction: RawValue }>;

export const keyParts = ({ key }: Pick<IndexSpec, "key">): readonly KeyPart[] => {
  const parts: KeyPart[] = [];
  const cursor = new Cursor();
  cursor.open(key.bytes);
  while (cursor.next()) {
    const { type, nameStart, nameEnd, valueStart, valueEnd } = cursor;
    const path = Buffer.from(key.bytes.subarray(nameStart, nameEnd)).toString();
    parts.push({ path, direction: new RawValue(type, key.bytes.subarray(valueStart, valueEnd)) });
  }
  return parts;
};

/** Flags that servers spell as true, 1, or not at all. */
const FLAGS = new Set(["unique", "sparse", "hidden", "prepareUnique"]);

/** What servers write out after a `collMod`, and leave out before. */
const DEFAULTS: Readonly<Record<string, string>> = { validationLevel: "strict", validationAction: "error" };

const isSimple = (collation: RawValue): boolean => textOf(optionsWithin(collation)["locale"]) === "simple";

/** What a view shows depends on each byte of its pipeline: `$literal: 1` and `$literal: 1.0` are two. */
const spelled = (name: string, value: RawValue): string =>
  name === "pipeline" ? Buffer.from(value.bytes).toString("latin1") : meaningOf(value);

/** Options by name in a spelling that is equal where two servers mean the same. */
const meanings = (options: Options): Map<string, string> => {
  const entries = Object.entries(options).flatMap(([name, value]): [string, string][] => {
    if (FLAGS.has(name)) return isOn(value) ? [[name, "true"]] : [];
    if (name === "collation" && isSimple(value)) return [];
    if (name in DEFAULTS && DEFAULTS[name] === textOf(value)) return [];
    if (name === "v" || name.endsWith("IndexVersion")) return [];
    return [[name, spelled(name, value)]];
  });
  return new Map(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
};

/** Names of the options in which two specifications differ. */
export const differences = (a: Options, b: Options): string[] => {
  const [one, other] = [meanings(a), meanings(b)];
  const names = new Set([...one.keys(), ...other.keys()]);
  return [...names].filter((name) => one.get(name) !== other.get(name)).sort();
};

/** For people. */
export const indexKeyText = (index: Pick<IndexSpec, "key">): string =>
  `{ ${keyParts(index)
    .map(({ path, direction }) => `${path}: ${JSON.stringify(direction)}`)
    .join(", ")} }`;

export const sameKey = (a: IndexSpec, b: IndexSpec): boolean => meaningOf(a.key) === meaningOf(b.key);

/** What the server tells two indexes of one collection apart by, besides their names: two of one identity cannot both be there. */
export const indexIdentity = (index: IndexSpec): string => {
  const { hidden: _, expireAfterSeconds: __, ...options } = index.options;
  return JSON.stringify([meaningOf(index.key), ...meanings(options)]);
};

/** Are two indexes the same but for their name? */
export const sameIndex = (a: IndexSpec, b: IndexSpec): boolean =>
  sameKey(a, b) && differences(a.options, b.options).length === 0;

/** An index as `createIndexes` wants it. */
export const indexCommand = ({ name, key, options }: IndexSpec): Readonly<Record<string, RawValue | string>> => ({
  ...options,
  key,
  name,
});

/** For operators, who read it in mongosh. */
export const specText = (spec: Options): string => new RawValue(BsonType.object, optionsDocument(spec)).text;

/** An older ferry kept the key of an index as pairs. */
const keyOfPairs = (pairs: RawValue): RawValue => {
  const writer = new BsonWriter(256);
  const at = writer.open();
  for (const pair of Object.values(optionsWithin(pairs))) {
    const { 0: path, 1: direction } = optionsWithin(pair);
    if (direction !== undefined) writer.value(direction.type, textOf(path) ?? "", direction.bytes);
  }
  writer.close(at);
  return new RawValue(BsonType.object, writer.take());
};

/** What a record says an item should be in the end. An older ferry kept the text alone. */
export const wantedIn = ({ wanted, exact }: Pick<StructureRecord, "wanted" | "exact">): Options => {
  if (exact !== undefined) return optionsIn(exact.buffer);
  const options = optionsIn(BSON.serialize(EJSON.parse(wanted, { relaxed: false }) as Document));
  const { key } = options;
  return key?.type === BsonType.array ? { ...options, key: keyOfPairs(key) } : options;
};
