/**
 * A route's row filter: the part of MongoDB's query language that ferry answers exactly as `find` does on a collection with
 * the simple collation, on raw bytes. Whatever else is written is refused when the configuration is read.
 * Source: MongoDB manual, "Query and Projection Operators"; the server's matcher. test/integration/where.test.ts compares
 * every operator, path and type with a real server.
 */
import type { Document } from "bson";
import { BsonType } from "#base/bson/walk.ts";
import { constant, isConstant, refuseWhere } from "./constant.ts";
import { compareElements, type Element, isNaNElement, orderOfType } from "./order.ts";
import { queryPath, reaches, type Test } from "./queryPath.ts";

/** Does the document belong to the route? Pure; `doc` is validated BSON. */
export type Where = (doc: Uint8Array) => boolean;

const NULL = orderOfType(BsonType.null);
const MISSING = orderOfType(BsonType.undefined);

/** Is the value in this order to the constant? Only values of one kind have an order; what is missing counts as null. */
const ordered = (given: unknown, name: string, holds: (order: number) => boolean): Test => {
  const limit = constant(given, name);
  const kind = orderOfType(limit.type);
  const isNaNLimit = isNaNElement(limit);
  return (value) => {
    const own = value === undefined ? MISSING : orderOfType(value.type);
    if (own !== kind) return kind === NULL && own === MISSING && holds(0);
    const element = value as Element; // it has the kind of a constant, which is never missing
    if (isNaNLimit || isNaNElement(element)) return isNaNLimit && isNaNElement(element) && holds(0);
    return holds(compareElements(element, limit));
  };
};

const equal = (given: unknown, name: string): Test => ordered(given, name, (order) => order === 0);

const among = (given: unknown, name: string): Test => {
  if (!Array.isArray(given)) return refuseWhere(`${name}: $in and $nin need a list`);
  const tests = given.map((item) => equal(item, name));
  return (value) => tests.some((test) => test(value));
};

/** `$exists` takes any number for a truth value, as the server does. */
const isTrue = (given: unknown, name: string): boolean =>
  typeof given === "boolean" || typeof given === "number"
    ? given !== 0 && given !== false
    : refuseWhere(`${name}: $exists needs true or false`);

/** What a condition's operator asks of the values that its path leads to: some value passes, or none does. */
type Question = Readonly<{ test: Test; none?: boolean }>;

const OPERATORS: Readonly<Record<string, (given: unknown, name: string) => Question>> = {
  $eq: (given, name) => ({ test: equal(given, name) }),
  $ne: (given, name) => ({ test: equal(given, name), none: true }),
  $gt: (given, name) => ({ test: ordered(given, name, (order) => order > 0) }),
  $gte: (given, name) => ({ test: ordered(given, name, (order) => order >= 0) }),
  $lt: (given, name) => ({ test: ordered(given, name, (order) => order < 0) }),
  $lte: (given, name) => ({ test: ordered(given, name, (order) => order <= 0) }),
  $in: (given, name) => ({ test: among(given, name) }),
  $nin: (given, name) => ({ test: among(given, name), none: true }),
  $exists: (given, name) => ({ test: (value) => value !== undefined, none: !isTrue(given, name) }),
};

const NOT = "$not";

const isPlain = (given: unknown): given is Readonly<Document> =>
  typeof given === "object" && given !== null && !Array.isArray(given);

/** Does the condition begin with an operator? Otherwise it is a value to be equal to. */
const hasOperators = (given: unknown): given is Readonly<Document> =>
  isPlain(given) && Object.keys(given)[0]?.startsWith("$") === true && !isConstant(given);

const field = (name: string, given: unknown): Where => {
  if (name.split(".").includes("") || name.includes("\0")) refuseWhere(`${JSON.stringify(name)} is not a path`);
  return conditions(name, hasOperators(given) ? given : { $eq: given });
};

const conditions = (name: string, operators: Readonly<Document>): Where => {
  const path = queryPath(name);
  const parts = Object.entries(operators).map(([operator, given]): Where => {
    if (operator === NOT) return negated(name, given);
    const question = Object.hasOwn(OPERATORS, operator) ? OPERATORS[operator] : undefined;
    if (question === undefined)
      return refuseWhere(`${name}: ${operator} is not known; there are ${[...Object.keys(OPERATORS), NOT].join(", ")}`);
    const { test, none = false } = question(given, name);
    return (doc) => reaches(doc, 0, path, 0, test) !== none;
  });
  return (doc) => parts.every((part) => part(doc));
};

const negated = (name: string, given: unknown): Where => {
  if (!hasOperators(given)) return refuseWhere(`${name}: $not needs operators, as { $not: { $gt: 5 } }`);
  const where = conditions(name, given);
  return (doc) => !where(doc);
};

/** What joins conditions. */
const JUNCTIONS: ReadonlyMap<string, (all: readonly Where[], doc: Uint8Array) => boolean> = new Map([
  ["$and", (all, doc) => all.every((where) => where(doc))],
  ["$or", (all, doc) => all.some((where) => where(doc))],
  ["$nor", (all, doc) => !all.some((where) => where(doc))],
]);

const listOf = (name: string, given: unknown): Where[] => {
  if (!Array.isArray(given) || given.length === 0 || !given.every(isPlain))
    return refuseWhere(`${name} needs a list of conditions`);
  return given.map(compileWhere);
};

/** Does a condition compare with text, so that its answer depends on the collation? */
export const comparesText = (given: unknown): boolean => {
  if (typeof given === "string") return true;
  if (typeof given !== "object" || given === null || isConstant(given)) return false;
  return Object.values(given).some(comparesText);
};

/** Compiles a condition, as the configuration has it. @throws FERRY_CONFIG for what ferry does not answer as the server does */
export const compileWhere = (condition: Readonly<Document>): Where => {
  const parts = Object.entries(condition).map(([name, given]): Where => {
    if (!name.startsWith("$")) return field(name, given);
    const join = JUNCTIONS.get(name);
    if (join === undefined) return refuseWhere(`${name} is not known; there are ${[...JUNCTIONS.keys()].join(", ")}`);
    const all = listOf(name, given);
    return (doc) => join(all, doc);
  });
  return (doc) => parts.every((part) => part(doc));
};
