import type { RawValue } from "#base/bson/rawValue.ts";
import { BsonType } from "#base/bson/walk.ts";
import { mapElements, type Options, rawText, textOf } from "#structure/model/options.ts";

/** How a stage names another collection: as its value, or in a field of its value. */
const NAMING: Readonly<Record<string, readonly string[]>> = {
  $lookup: ["from"],
  $graphLookup: ["from"],
  $unionWith: ["coll"],
};

type Rename = (coll: string) => string;

const renamed = (value: RawValue, rename: Rename): RawValue => {
  const coll = textOf(value);
  const to = coll === undefined ? undefined : rename(coll);
  return to === undefined || to === coll ? value : rawText(to);
};

const renameStage = (stage: RawValue, rename: Rename): RawValue =>
  mapElements(stage, (operator, body) => {
    if (operator === "$unionWith" && body.type === BsonType.string) return renamed(body, rename);
    if (body.type !== BsonType.object) return body;
    if (operator === "$facet") return mapElements(body, (_, pipeline) => renameIn(pipeline, rename));
    const fields = NAMING[operator];
    if (fields === undefined) return body;
    return mapElements(body, (name, value) => {
      if (fields.includes(name)) return renamed(value, rename);
      return name === "pipeline" ? renameIn(value, rename) : value;
    });
  });

/** A pipeline in which every collection of the same database that it reads is renamed; all else stays the bytes it is. */
export const renameIn = (pipeline: RawValue, rename: Rename): RawValue =>
  pipeline.type === BsonType.array
    ? mapElements(pipeline, (_, stage) => (stage.type === BsonType.object ? renameStage(stage, rename) : stage))
    : pipeline;

/** Collections of the same database that a view reads, the one it stands on first. */
export const readBy = ({ viewOn, pipeline }: Options): string[] => {
  const names = [textOf(viewOn) ?? ""];
  if (pipeline !== undefined)
    renameIn(pipeline, (coll) => {
      names.push(coll);
      return coll;
    });
  return [...new Set(names)];
};
