import { valueText } from "./extendedJson.ts";

/** One line of two documents beside each other. */
export type DiffLine = Readonly<{ kind: "same" | "removed" | "added"; text: string }>;

type Fields = Readonly<Record<string, unknown>>;

const INDENT = "  ";

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Extended JSON's own objects, as `{ "$oid": … }`, are values. */
const isNested = (value: unknown): value is Fields =>
  isFields(value) && !Object.keys(value).some((name) => name.startsWith("$"));

const lines = (kind: DiffLine["kind"], name: string, value: unknown, depth: number): DiffLine[] => {
  return valueText(value, 2)
    .split("\n")
    .map((line, n) => ({ kind, text: `${INDENT.repeat(depth)}${n === 0 && name !== "" ? `${name}: ` : ""}${line}` }));
};

const isEqual = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

const fieldLines = (before: Fields, after: Fields, depth: number): DiffLine[] => {
  const names = [...Object.keys(before), ...Object.keys(after).filter((name) => !Object.hasOwn(before, name))];
  return names.flatMap((name) => {
    const [a, b] = [before[name], after[name]];
    if (!Object.hasOwn(after, name)) return lines("removed", name, a, depth);
    if (!Object.hasOwn(before, name)) return lines("added", name, b, depth);
    if (isEqual(a, b)) return lines("same", name, a, depth);
    if (isNested(a) && isNested(b))
      return [
        { kind: "same" as const, text: `${INDENT.repeat(depth)}${name}: {` },
        ...fieldLines(a, b, depth + 1),
        { kind: "same" as const, text: `${INDENT.repeat(depth)}}` },
      ];
    return [...lines("removed", name, a, depth), ...lines("added", name, b, depth)];
  });
};

/** Two documents, field by field. A document that is not there is null or undefined: all of the other one came or went. */
export const jsonDiff = (before: unknown, after: unknown): readonly DiffLine[] => {
  if (isFields(before) && isFields(after)) return fieldLines(before, after, 0);
  if (isFields(before)) return Object.entries(before).flatMap(([name, value]) => lines("removed", name, value, 0));
  if (isFields(after)) return Object.entries(after).flatMap(([name, value]) => lines("added", name, value, 0));
  return [];
};
