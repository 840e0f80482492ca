import { type Document, EJSON, ObjectId, Timestamp } from "bson";

/**
 * What ferry's stores ask a server, in its own words. Words that are not here throw: no test holds because nothing was looked at.
 */
type Expression = (given: readonly unknown[]) => unknown;

export const text = (value: unknown): string => EJSON.stringify({ value }, { relaxed: false });
const isPlain = (value: unknown): value is Document => Object.getPrototypeOf(value ?? 0) === Object.prototype;
export const isSame = (a: unknown, b: unknown): boolean => text(a ?? null) === text(b ?? null);

/** What can be compared and sorted as the server does it among values of one type. */
const orderOf = (value: unknown): number | bigint | string => {
  if (value instanceof Date) return value.getTime();
  if (value instanceof Timestamp) return value.toBigInt();
  if (value instanceof ObjectId) return value.toHexString();
  return typeof value === "number" || typeof value === "string" ? value : text(value);
};
const isBefore = (a: unknown, b: unknown): boolean => orderOf(a) < orderOf(b);

export const at = (document: unknown, path: string): unknown =>
  path.split(".").reduce((value: unknown, name) => (value as Document | undefined)?.[name], document);

export const put = (document: Document, path: string, value: unknown): void => {
  const [name = "", ...rest] = path.split(".");
  if (rest.length > 0) {
    document[name] ??= {};
    put(document[name], rest.join("."), value);
  } else if (value === undefined) delete document[name];
  else document[name] = value;
};

export const known = <T>(operators: Readonly<Record<string, T>>, name: string): T => {
  const found = operators[name];
  if (found === undefined) throw new Error(`${name} is not known to the server in memory`);
  return found;
};

const EXPRESSIONS: Readonly<Record<string, Expression>> = {
  $eq: ([a, b]) => isSame(a, b),
  $lt: ([a, b]) => isBefore(a, b),
  $gt: ([a, b]) => isBefore(b, a),
  $or: (given) => given.some(Boolean),
  $cond: ([given, yes, no]) => (given === true ? yes : no),
  $type: ([value]) => (value instanceof Date ? "date" : typeof value),
  $literal: ([value]) => value,
  $subtract: ([a, b]) => Number(orderOf(a)) - Number(orderOf(b)),
  $add: ([a, b]) => (a instanceof Date ? new Date(a.getTime() + Number(b)) : Number(a) + Number(b)),
};

export const evaluate = (expression: unknown, document: Document, now: Date): unknown => {
  if (expression === "$$NOW") return now;
  if (typeof expression === "string" && expression.startsWith("$")) return at(document, expression.slice(1));
  const [operator, ...others] = isPlain(expression) ? Object.keys(expression) : [];
  if (operator?.startsWith("$") !== true || others.length > 0) return expression;
  const given = (expression as Document)[operator];
  const values = (Array.isArray(given) ? given : [given]).map((one: unknown) => evaluate(one, document, now));
  return known(EXPRESSIONS, operator)(values);
};

const CONDITIONS: Readonly<Record<string, (value: unknown, given: unknown) => boolean>> = {
  $in: (value, given) => (given as readonly unknown[]).some((one) => isSame(one, value)),
  $ne: (value, given) => !isSame(value, given),
  $gt: (value, given) => value !== undefined && isBefore(given, value),
  $gte: (value, given) => value !== undefined && !isBefore(value, given),
  $lt: (value, given) => value !== undefined && isBefore(value, given),
  $exists: (value, given) => (value !== undefined) === given,
  $regex: (value, given) => typeof value === "string" && new RegExp(given as string, "u").test(value),
};

export const matches = (filter: Document, document: Document, now: Date): boolean =>
  Object.entries(filter).every(([path, condition]) => {
    if (path === "$expr") return evaluate(condition, document, now) === true;
    const value = at(document, path);
    if (!isPlain(condition) || !Object.keys(condition).some((name) => name.startsWith("$")))
      return isSame(value, condition);
    return Object.entries(condition).every(([name, given]) => known(CONDITIONS, name)(value, given));
  });

export const MODIFIERS: Readonly<Record<string, (now: unknown, given: unknown, isNew: boolean) => unknown>> = {
  $inc: (value, given) => Number(value ?? 0) + Number(given),
  $set: (_, given) => given,
  $unset: () => undefined,
  $setOnInsert: (now, given, isNew) => (isNew ? given : now),
  $max: (now, given) => (now === undefined || isBefore(now, given) ? given : now),
  $addToSet: (now = [], given) =>
    (now as readonly unknown[]).some((one) => isSame(one, given)) ? now : [...(now as readonly unknown[]), given],
};

export const sorted = (documents: readonly Document[], sort: Document): Document[] =>
  [...documents].sort((a, b) => {
    for (const [path, direction] of Object.entries(sort)) {
      const [left, right] = [at(a, path), at(b, path)];
      if (!isSame(left, right)) return isBefore(left, right) ? -direction : direction;
    }
    return 0;
  });
