/**
 * Which values a query's path leads to, as the server's matcher walks: through documents, through the documents in arrays,
 * and by a number both as an index and as a name. Source: the server's `BSONElementIterator` (matcher/path.cpp); a
 * differential test against a real server holds it (test/integration/where.test.ts).
 */

import { BsonType, Cursor } from "#base/bson/walk.ts";
import type { Element } from "./order.ts";

/** Asked of each value that the path leads to; undefined stands for a field that is not there. */
export type Test = (value: Element | undefined) => boolean;

type PathPart = Readonly<{ name: Uint8Array; isNumber: boolean }>;

/** The parts of a dotted path; none is empty. */
export type Path = readonly PathPart[];

export const queryPath = (text: string): Path =>
  text.split(".").map((part) => ({ name: Buffer.from(part), isNumber: /^\d+$/.test(part) }));

/** Does some value that the path leads to pass? `depth`: how many parts led to the document that starts at `start`. */
export const reaches = (bytes: Uint8Array, start: number, path: Path, depth: number, test: Test): boolean => {
  const part = path[depth] as PathPart;
  const found = new Cursor();
  found.open(bytes, start);
  if (!found.seek(part.name)) return test(undefined);
  const isLast = depth + 1 === path.length;
  if (found.type === BsonType.array)
    return reachesInArray(bytes, found.valueStart, path, depth + 1, test) || (isLast && test(found));
  if (isLast) return test(found);
  return found.type === BsonType.object ? reaches(bytes, found.valueStart, path, depth + 1, test) : test(undefined);
};

const reachesInArray = (bytes: Uint8Array, start: number, path: Path, depth: number, test: Test): boolean => {
  const part = path[depth];
  const element = new Cursor();
  element.open(bytes, start);
  while (element.next())
    if (part === undefined ? test(element) : reachesElement(element, path, depth, test)) return true;
  return false;
};

/** One element of an array, from which the path continues. */
const reachesElement = (element: Cursor, path: Path, depth: number, test: Test): boolean => {
  const { bytes, type, valueStart } = element;
  const { name, isNumber } = path[depth] as PathPart;
  if (type === BsonType.object && reaches(bytes, valueStart, path, depth, test)) return true;
  if (!isNumber || !element.named(name)) return false;
  if (depth + 1 === path.length) return test(element);
  if (type === BsonType.object) return reaches(bytes, valueStart, path, depth + 1, test);
  return type === BsonType.array && reachesInArray(bytes, valueStart, path, depth + 1, test);
};
