import type { TSchema } from "typebox";
import { nearest } from "./suggest.ts";

/** What the schema's check found, as typebox tells it. */
export type ConfigFinding = Readonly<{
  keyword: string;
  instancePath: string;
  message: string;
  params: Readonly<Record<string, unknown>>;
}>;

type SchemaNode = Readonly<{
  items?: TSchema;
  properties?: Readonly<Record<string, TSchema>>;
  patternProperties?: Readonly<Record<string, TSchema>>;
  anyOf?: readonly TSchema[];
  description?: string;
  pattern?: string;
}>;

const alternatives = (schema: TSchema): readonly SchemaNode[] => (schema as SchemaNode).anyOf ?? [schema as SchemaNode];

const inside = (schema: TSchema, part: string): TSchema[] =>
  alternatives(schema).flatMap(({ items, properties, patternProperties }) => {
    const found = items ?? properties?.[part] ?? Object.values(patternProperties ?? {})[0];
    return found === undefined ? [] : [found];
  });

const keysOf = (schemas: readonly TSchema[]): string[] => [
  ...new Set(schemas.flatMap(alternatives).flatMap(({ properties }) => Object.keys(properties ?? {}))),
];

/** `/routes/0/fields` as `routes[0].fields`. */
const spell = (parts: readonly string[]): string =>
  parts.map((part, i) => (/^\d+$/.test(part) ? `[${part}]` : `${i === 0 ? "" : "."}${part}`)).join("");

const hintFor = (key: string, schemas: readonly TSchema[]): string => {
  const known = keysOf(schemas);
  const close = nearest(key, known);
  if (close !== undefined) return `did you mean ${JSON.stringify(close)}?`;
  const home = known.find((name) => keysOf(schemas.flatMap((schema) => inside(schema, name))).includes(key));
  return home === undefined ? `known are ${known.join(", ")}` : `it belongs into ${JSON.stringify(home)}`;
};

const schemasAt = (schema: TSchema, instancePath: string): TSchema[] =>
  instancePath
    .split("/")
    .slice(1)
    .reduce<TSchema[]>((at, part) => at.flatMap((one) => inside(one, part)), [schema]);

const unknownKeys = (schema: TSchema, { instancePath, params }: ConfigFinding): string[] => {
  const known = keysOf(schemasAt(schema, instancePath));
  return ((params["additionalProperties"] ?? []) as string[]).filter((key) => !known.includes(key));
};

/** The first finding; of a union's, the one inside the alternative whose keys the value has. */
const meant = (findings: readonly ConfigFinding[]): ConfigFinding => {
  const [first] = findings as readonly [ConfigFinding, ...ConfigFinding[]];
  if (!["type", "required", "additionalProperties", "anyOf"].includes(first.keyword)) return first;
  const inside = findings.filter(({ keyword }) => keyword !== "boolean"); // a key that an alternative does not have
  return (
    inside.find(({ instancePath }) => instancePath.startsWith(`${first.instancePath}/`)) ??
    inside.find(({ keyword, instancePath }) => keyword === "required" && instancePath === first.instancePath) ??
    first
  );
};

/**
 * The first thing that is wrong in a value, as a sentence; an unknown key comes before its consequences.
 * @param whole what the value is called where it is wrong itself
 */
export const complaint = (schema: TSchema, findings: readonly ConfigFinding[], whole: string): string => {
  // Each alternative of a union complains of the others' keys: only a key that none of them has is unknown.
  const unknown = findings.find((one) => one.keyword === "additionalProperties" && unknownKeys(schema, one).length > 0);
  const { instancePath, keyword, message } = unknown ?? meant(findings);
  const parts = instancePath.split("/").slice(1);
  const schemas = schemasAt(schema, instancePath);
  const where = spell(parts);
  if (unknown !== undefined) {
    const [key = ""] = unknownKeys(schema, unknown);
    return `${where === "" ? "" : `${where}: `}unknown key ${JSON.stringify(key)}; ${hintFor(key, schemas)}`;
  }
  const place = where === "" ? whole : where;
  // None of a choice's forms fits, and the first form's want is not the others'.
  if (keyword === "required" && schemas.some((one) => alternatives(one).length > 1))
    return `${place} needs one of ${keysOf(schemas).join(", ")}`;
  if (keyword === "const") {
    const allowed = findings.filter((one) => one.keyword === "const" && one.instancePath === instancePath);
    return `${place} must be one of ${allowed.map((one) => String(one.params["allowedValue"])).join(", ")}`;
  }
  const forms = schemas.flatMap(alternatives);
  const description = (forms.find(({ pattern }) => pattern !== undefined) ?? forms[0])?.description;
  if (keyword === "pattern" && description !== undefined) return `${place} is invalid: ${description}`;
  return `${place} ${message}`;
};
