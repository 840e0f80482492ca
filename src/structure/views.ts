import type { Document } from "bson";

/** How a stage names another collection: as its value, or in a field of its value. */
const NAMING: Readonly<Record<string, readonly string[]>> = {
  $lookup: ["from"],
  $graphLookup: ["from"],
  $unionWith: ["coll"],
};

type Rename = (coll: string) => string;

const isDocument = (value: unknown): value is Document =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !("_bsontype" in value);

const renameStage = (stage: Document, rename: Rename): Document =>
  Object.fromEntries(
    Object.entries(stage).map(([operator, body]) => {
      if (operator === "$unionWith" && typeof body === "string") return [operator, rename(body)];
      if (operator === "$facet" && isDocument(body))
        return [
          operator,
          Object.fromEntries(
            Object.entries(body).map(([name, pipeline]) => [name, renameIn(pipeline as Document[], rename)]),
          ),
        ];
      const fields = NAMING[operator];
      if (fields === undefined || !isDocument(body)) return [operator, body];
      const renamed = Object.entries(body).map(([name, value]) => {
        if (fields.includes(name) && typeof value === "string") return [name, rename(value)];
        return [name, name === "pipeline" && Array.isArray(value) ? renameIn(value as Document[], rename) : value];
      });
      return [operator, Object.fromEntries(renamed)];
    }),
  );

/** A pipeline in which every collection of the same database that it reads is renamed. */
export const renameIn = (pipeline: readonly Document[], rename: Rename): Document[] =>
  pipeline.map((stage) => renameStage(stage, rename));

/** Collections of the same database that a view reads, the one it stands on first. */
export const readBy = ({ viewOn, pipeline }: Document): string[] => {
  const names = [String(viewOn)];
  renameIn((pipeline ?? []) as Document[], (coll) => {
    names.push(coll);
    return coll;
  });
  return [...new Set(names)];
};
