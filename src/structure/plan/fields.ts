import type { RawValue } from "#base/bson/rawValue.ts";
import { BsonType } from "#base/bson/walk.ts";
import { type IndexSpec, keyParts } from "#structure/model/model.ts";
import { isOn, mapElements, type Options, optionsWithin, textOf } from "#structure/model/options.ts";
import type { FieldMap } from "#structure/model/selection.ts";

/** An index as it suits documents that a route's field rules have changed, or why it cannot be. */
export type Fitted = Readonly<{ index: IndexSpec; note?: string }> | Readonly<{ leftOut: string }>;

class StaysOut extends Error {
  readonly path: string;
  constructor(path: string) {
    super(path);
    this.path = path;
  }
}

const mapped = (fields: FieldMap, path: string): string => {
  const found = fields.path(path);
  if (found === undefined) throw new StaysOut(path);
  return found;
};

/** `$**` and `a.$**` stand for what lies below. */
const mapKey = (fields: FieldMap, path: string): string => {
  if (path === "$**" || path === "_fts" || path === "_ftsx") return path;
  return path.endsWith(".$**") ? `${mapped(fields, path.slice(0, -4))}.$**` : mapped(fields, path);
};

const mapNames = (fields: FieldMap, paths: RawValue): RawValue =>
  mapElements(paths, (path, value) => [mapKey(fields, path), value]);

/** A partial filter: `$and` and `$or` hold conditions, everything else is a path. */
const mapCondition = (fields: FieldMap, condition: RawValue): RawValue =>
  mapElements(condition, (name, value) =>
    name.startsWith("$") && value.type === BsonType.array
      ? mapElements(value, (_, inner) => mapCondition(fields, inner))
      : [mapped(fields, name), value],
  );

const SPECIAL_DIRECTIONS = new Set(["2d", "2dsphere", "text"]);

const fitOptions = (fields: FieldMap, options: Options): Options => {
  const { partialFilterExpression: partial, wildcardProjection: projection, weights } = options;
  return {
    ...options,
    ...(partial === undefined ? {} : { partialFilterExpression: mapCondition(fields, partial) }),
    ...(projection === undefined ? {} : { wildcardProjection: mapNames(fields, projection) }),
    ...(weights === undefined ? {} : { weights: mapNames(fields, weights) }),
  };
};

const maskedPaths = (fields: FieldMap, index: IndexSpec): string[] =>
  [
    ...keyParts(index).map(({ path }) => path),
    ...Object.keys(optionsWithin(index.options["partialFilterExpression"])),
  ].filter((path) => fields.masked(path) !== undefined);

/** An index for what the route's field rules make of the documents. */
export const fitIndex = (index: IndexSpec, fields: FieldMap): Fitted => {
  let fitted: IndexSpec;
  try {
    const key = mapNames(fields, index.key);
    fitted = { ...index, key, options: fitOptions(fields, index.options) };
  } catch (error) {
    if (!(error instanceof StaysOut)) throw error;
    return { leftOut: `the route's field rules leave ${error.path} out` };
  }
  const masked = maskedPaths(fields, index);
  if (masked.length === 0) return { index: fitted };
  const needsValues =
    index.options["expireAfterSeconds"] !== undefined ||
    index.options["partialFilterExpression"] !== undefined ||
    keyParts(index).some(({ direction }) => SPECIAL_DIRECTIONS.has(textOf(direction) ?? ""));
  if (needsValues) return { leftOut: `it needs the values of ${masked.join(", ")}, which the route masks` };
  if (!isOn(index.options["unique"]) || masked.every((path) => fields.masked(path) === "distinct"))
    return { index: fitted };
  const { unique: _, ...options } = fitted.options;
  return {
    index: { ...fitted, options },
    note: `stays non-unique: masked values of ${masked.join(", ")} may be alike`,
  };
};
