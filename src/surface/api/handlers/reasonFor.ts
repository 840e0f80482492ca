import { CATALOGUE } from "#base/errors/catalogue.ts";
import type { Role } from "#process/control/tokenStore.ts";
import { seesDocuments } from "./handler.ts";

const isKnown = (code: string): code is keyof typeof CATALOGUE => Object.hasOwn(CATALOGUE, code);

/** A reason in words. Those of a server may hold a document's values: a viewer gets what the code means in general. */
export const reasonFor = (role: Role, code: string, words: string): string => {
  if (seesDocuments(role)) return words;
  return isKnown(code) ? CATALOGUE[code].meaning : code;
};
