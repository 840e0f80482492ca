import { valueText } from "./extendedJson.ts";

/** A key as a person reads it: the `_id` of a documentKey, or the whole of it; undefined where the role may not see it. */
export const keyText = (key: unknown): string | undefined => {
  if (key === null || key === undefined) return undefined;
  const names = typeof key === "object" ? Object.keys(key) : [];
  const value = names.length === 1 && names[0] === "_id" ? (key as { _id: unknown })._id : key;
  return typeof value === "string" ? value : valueText(value);
};
