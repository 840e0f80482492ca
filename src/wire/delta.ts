import { BSON, type Document } from "bson";
import { rawValue } from "#bson/walk.ts";

/**
 * Are all numbers in the paths of an updateDescription indexes of arrays? Servers from 6.1 on say so in `disambiguatedPaths`
 * (MongoDB manual, "Change Events"). False where the server does not tell, undefined where it names paths with dots or digits in their names.
 */
export const numbersAreIndexes = (update: Uint8Array): boolean | undefined => {
  const raw = rawValue(update, "disambiguatedPaths");
  if (raw === undefined) return false;
  return Object.keys(BSON.deserialize(raw) as Document).length === 0 ? true : undefined;
};
