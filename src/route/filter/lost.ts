import { BsonType, Cursor } from "#base/bson/walk.ts";
import { holdsNames } from "./document.ts";
import { spellName } from "./fieldPath.ts";
import { type Rule, unlisted } from "./rules.ts";

type Visit = Readonly<{ doc: Uint8Array; lost: Set<string> }>;

const visit = (into: Visit, start: number, rule: Rule, path: string, inArray: boolean): void => {
  const cursor = new Cursor();
  cursor.open(into.doc, start);
  while (cursor.next()) {
    if (inArray) {
      visitValue(into, cursor, rule, path);
      continue;
    }
    const name = Buffer.from(into.doc.subarray(cursor.nameStart, cursor.nameEnd)).toString();
    const own = rule.children?.named(name) ?? unlisted(rule);
    visitValue(into, cursor, own, path === "" ? spellName(name) : `${path}.${spellName(name)}`);
  }
};

const visitValue = (into: Visit, { type, valueStart }: Cursor, own: Rule, path: string): void => {
  if (own.drop || (!own.rest && !holdsNames(type))) into.lost.add(path);
  else if (holdsNames(type) && own.children !== undefined) visit(into, valueStart, own, path, type === BsonType.array);
};

/** The topmost paths of a document that rules leave out, as rules spell them; array indexes are not part of a path. */
export const lostPaths = (doc: Uint8Array, root: Rule): string[] => {
  const lost = new Set<string>();
  visit({ doc, lost }, 0, root, "", false);
  return [...lost];
};

/** A dotted path, each dot between two names, as it is called on the target; undefined where it, or a path above it, is left out. */
export const targetPath = (path: string, root: Rule): string | undefined => {
  let rule = root;
  const names: string[] = [];
  for (const part of path.split(".")) {
    rule = rule.children?.named(part) ?? unlisted(rule);
    if (rule.drop) return undefined;
    names.push(rule.name?.toString() ?? part);
  }
  return names.join(".");
};
