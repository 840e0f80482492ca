import type { Document } from "bson";
import type { IndexSpec } from "./model.ts";
import { isOn } from "./model.ts";
import type { FieldMap } from "./selection.ts";

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

const mapNames = (fields: FieldMap, paths: Document): Document =>
  Object.fromEntries(Object.entries(paths).map(([path, value]) => [mapKey(fields, path), value]));

/** A partial filter: `$and` and `$or` hold conditions, everything else is a path. */
const mapCondition = (fields: FieldMap, condition: Document): Document =>
  Object.fromEntries(
    Object.entries(condition).map(([name, value]) =>
      name.startsWith("$") && Array.isArray(value)
        ? [name, value.map((inner) => mapCondition(fields, inner as Document))]
        : [mapped(fields, name), value],
    ),
  );

const SPECIAL_DIRECTIONS = new Set(["2d", "2dsphere", "text"]);

const fitOptions = (fields: FieldMap, options: Document): Document => {
  const { partialFilterExpression: partial, wildcardProjection: projection, weights } = options;
  return {
    ...options,
    ...(partial === undefined ? {} : { partialFilterExpression: mapCondition(fields, partial as Document) }),
    ...(projection === undefined ? {} : { wildcardProjection: mapNames(fields, projection as Document) }),
    ...(weights === undefined ? {} : { weights: mapNames(fields, weights as Document) }),
  };
};

const maskedPaths = (fields: FieldMap, { key, options }: IndexSpec): string[] =>
  [...key.map(([path]) => path), ...Object.keys((options["partialFilterExpression"] ?? {}) as Document)].filter(
    (path) => fields.masked(path) !== undefined,
  );

/** An index for what the route's field rules make of the documents. */
export const fitIndex = (index: IndexSpec, fields: FieldMap): Fitted => {
  let fitted: IndexSpec;
  try {
    const key = index.key.map(([path, direction]) => [mapKey(fields, path), direction] as const);
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
    index.key.some(([, direction]) => SPECIAL_DIRECTIONS.has(String(direction)));
  if (needsValues) return { leftOut: `it needs the values of ${masked.join(", ")}, which the route masks` };
  if (!isOn(index.options["unique"]) || masked.every((path) => fields.masked(path) === "distinct"))
    return { index: fitted };
  const { unique: _, ...options } = fitted.options;
  return {
    index: { ...fitted, options },
    note: `stays non-unique: masked values of ${masked.join(", ")} may be alike`,
  };
};
