import { type CollectionSpec, type IndexSpec, indexIdentity } from "./model.ts";
import { isOn, type Options, rawInt32, rawText, textOf, without } from "./options.ts";

/** What a server of a version can do. */
export type ServerAbilities = Readonly<{
  version: string;
  /** `collMod` makes an index unique (6.0). */
  convertUnique: boolean;
  /** `collMod` makes an index a TTL index (5.1); before, only a TTL index's time can be changed. */
  convertTtl: boolean;
}>;

const atLeast = (version: string, major: number, minor: number): boolean => {
  const [a = 0, b = 0] = version.split(".").map(Number);
  return a > major || (a === major && b >= minor);
};

export const serverAbilitiesOf = (version: string): ServerAbilities => ({
  version,
  convertUnique: atLeast(version, 6, 0),
  convertTtl: atLeast(version, 5, 1),
});

/** Why a server of this version cannot have such a collection; undefined where it can. */
export const impossible = ({ kind, options, indexes }: CollectionSpec, version: string): string | undefined => {
  if (options["encryptedFields"] !== undefined)
    return "queryable encryption keeps its state in collections of its own, which cannot be carried";
  const needs: [boolean, string, number, number][] = [
    [kind === "timeseries", "time series collections", 5, 0],
    [options["clusteredIndex"] !== undefined, "clustered collections", 5, 3],
    [options["changeStreamPreAndPostImages"] !== undefined, "pre- and post-images", 6, 0],
    [indexes.some((index) => isOn(index.options["hidden"])), "hidden indexes", 4, 4],
  ];
  const missing = needs.find(([needed, , major, minor]) => needed && !atLeast(version, major, minor));
  return missing === undefined
    ? undefined
    : `MongoDB ${version} has no ${missing[1]}: they came with ${missing[2]}.${missing[3]}`;
};

/** What is deferred until finalize. `index`: the whole index. */
export type Held = "unique" | "prepareUnique" | "ttl" | "validator" | "capped" | "index";

/** The longest time that a TTL index may have, s: 68 years. */
export const LONGEST_TTL = 2_147_483_647;

/**
 * Options with which documents in any order, in transactions, of any age are welcome: not capped (MongoDB refuses capped
 * collections in transactions, and lanes would mix the order up), nothing expires, nothing is validated.
 */
export const relaxCollection = (options: Options): Readonly<{ options: Options; held: readonly Held[] }> => {
  const held: Held[] = [];
  let relaxed = options;
  if (isOn(options["capped"])) {
    held.push("capped");
    relaxed = without(relaxed, "capped", "size", "max");
  }
  if (options["expireAfterSeconds"] !== undefined) {
    held.push("ttl");
    relaxed = without(relaxed, "expireAfterSeconds");
  }
  const level = textOf(options["validationLevel"]);
  if (options["validator"] !== undefined && level !== "off") {
    held.push("validator");
    relaxed = { ...relaxed, validationLevel: rawText("off") };
  }
  return { options: relaxed, held };
};

/** An index and what is built of it for now; undefined where nothing is. */
export type Relaxed = Readonly<{ full: IndexSpec; built: IndexSpec | undefined; held: readonly Held[] }>;

const relaxIndex = (full: IndexSpec, { convertUnique, convertTtl }: ServerAbilities): Relaxed => {
  const held: Held[] = [];
  let { options } = full;
  for (const flag of ["unique", "prepareUnique"] as const) {
    if (!isOn(options[flag])) continue;
    if (!convertUnique) return { full, built: undefined, held: ["index"] };
    held.push(flag);
    options = without(options, flag);
  }
  if (options["expireAfterSeconds"] !== undefined) {
    held.push("ttl");
    const rest = without(options, "expireAfterSeconds");
    options = convertTtl ? rest : { ...rest, expireAfterSeconds: rawInt32(LONGEST_TTL) };
  }
  return { full, built: { ...full, options }, held };
};

/**
 * Indexes that no document can violate and that delete nothing. Two that would become the same one (a unique and a plain
 * one on the same key) cannot both be there: then the stricter one waits until finalize.
 */
export const relaxIndexes = (indexes: readonly IndexSpec[], abilities: ServerAbilities): readonly Relaxed[] => {
  const relaxed = indexes.map((index) => relaxIndex(index, abilities));
  const taken = new Set(
    relaxed.flatMap(({ built, held }) => (built !== undefined && held.length === 0 ? [indexIdentity(built)] : [])),
  );
  return relaxed.map((one) => {
    if (one.built === undefined || one.held.length === 0) return one;
    const id = indexIdentity(one.built);
    if (taken.has(id)) return { ...one, built: undefined, held: ["index"] };
    taken.add(id);
    return one;
  });
};
