import fc from "fast-check";

/**
 * Random BSON documents of every type, as a small tree that the tests spell in three independent ways: BSON bytes,
 * canonical extended JSON, and the connector's legacy JSON. Kept apart from the product's own encoder on purpose.
 */
export type Value =
  | Readonly<{ t: "double"; v: number }>
  | Readonly<{ t: "string"; v: string }>
  | Readonly<{ t: "object"; v: readonly (readonly [string, Value])[] }>
  | Readonly<{ t: "array"; v: readonly Value[] }>
  | Readonly<{ t: "binary"; sub: number; v: Uint8Array }>
  | Readonly<{ t: "undefined" }>
  | Readonly<{ t: "objectId"; v: Uint8Array }>
  | Readonly<{ t: "boolean"; v: boolean }>
  | Readonly<{ t: "date"; v: bigint }>
  | Readonly<{ t: "null" }>
  | Readonly<{ t: "regex"; v: string; options: string }>
  | Readonly<{ t: "dbPointer"; ns: string; id: Uint8Array }>
  | Readonly<{ t: "code"; v: string }>
  | Readonly<{ t: "symbol"; v: string }>
  | Readonly<{ t: "scoped"; v: string; scope: readonly (readonly [string, Value])[] }>
  | Readonly<{ t: "int32"; v: number }>
  | Readonly<{ t: "timestamp"; seconds: number; increment: number }>
  | Readonly<{ t: "int64"; v: bigint }>
  | Readonly<{ t: "decimal"; v: string; bytes: Uint8Array }>
  | Readonly<{ t: "minKey" }>
  | Readonly<{ t: "maxKey" }>;

export type Fields = readonly (readonly [string, Value])[];

const TYPE: Readonly<Record<Value["t"], number>> = {
  double: 1,
  string: 2,
  object: 3,
  array: 4,
  binary: 5,
  undefined: 6,
  objectId: 7,
  boolean: 8,
  date: 9,
  null: 10,
  regex: 11,
  dbPointer: 12,
  code: 13,
  symbol: 14,
  scoped: 15,
  int32: 16,
  timestamp: 17,
  int64: 18,
  decimal: 19,
  minKey: 255,
  maxKey: 127,
};

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value | 0);
  return bytes;
};

const int64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(value);
  return bytes;
};

const double = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
};

const cstring = (value: string): Buffer => Buffer.concat([Buffer.from(value), Buffer.of(0)]);

const string = (value: string): Buffer => {
  const bytes = cstring(value);
  return Buffer.concat([int32(bytes.length), bytes]);
};

const valueBytes = (value: Value): Buffer => {
  switch (value.t) {
    case "double":
      return double(value.v);
    case "string":
    case "code":
    case "symbol":
      return string(value.v);
    case "object":
      return encode(value.v);
    case "array":
      return encode(value.v.map((item, index) => [String(index), item] as const));
    case "binary": {
      const inner = value.sub === 2 ? Buffer.concat([int32(value.v.length), value.v]) : Buffer.from(value.v);
      return Buffer.concat([int32(inner.length), Buffer.of(value.sub), inner]);
    }
    case "objectId":
      return Buffer.from(value.v);
    case "boolean":
      return Buffer.of(value.v ? 1 : 0);
    case "date":
    case "int64":
      return int64(value.v);
    case "regex":
      return Buffer.concat([cstring(value.v), cstring(value.options)]);
    case "dbPointer":
      return Buffer.concat([string(value.ns), value.id]);
    case "scoped": {
      const body = Buffer.concat([string(value.v), encode(value.scope)]);
      return Buffer.concat([int32(body.length + 4), body]);
    }
    case "int32":
      return int32(value.v);
    case "timestamp":
      return Buffer.concat([int32(value.increment), int32(value.seconds)]);
    case "decimal":
      return Buffer.from(value.bytes);
    case "undefined":
    case "null":
    case "minKey":
    case "maxKey":
      return Buffer.alloc(0);
  }
};

/** BSON bytes of a document. */
export const encode = (fields: Fields): Buffer => {
  const parts = fields.map(([name, value]) =>
    Buffer.concat([Buffer.of(TYPE[value.t]), cstring(name), valueBytes(value)]),
  );
  const body = Buffer.concat(parts);
  return Buffer.concat([int32(body.length + 5), body, Buffer.of(0)]);
};

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
const byteHex = (value: number): string => value.toString(16).padStart(2, "0");

/** As Java writes a double: always with a fraction or exponent. */
const javaDouble = (value: number): string => {
  if (!Number.isFinite(value)) return String(value);
  if (Object.is(value, -0)) return "-0.0";
  const text = String(value);
  if (text.includes("e"))
    return text
      .replace(/^(-?\d+)e/, "$1.0e")
      .replace("e+", "E")
      .replace("e", "E");
  return text.includes(".") ? text : `${text}.0`;
};

type Spell = (value: Value) => string;

const objectText = (fields: Fields, spell: Spell): string =>
  `{${fields.map(([name, value]) => `${JSON.stringify(name)}: ${spell(value)}`).join(", ")}}`;

/** Types that all dialects spell alike. */
const common = (value: Value, spell: Spell): string => {
  switch (value.t) {
    case "string":
      return JSON.stringify(value.v);
    case "object":
      return objectText(value.v, spell);
    case "array":
      return `[${value.v.map(spell).join(", ")}]`;
    case "undefined":
      return '{"$undefined": true}';
    case "objectId":
      return `{"$oid": "${hex(value.v)}"}`;
    case "boolean":
      return String(value.v);
    case "null":
      return "null";
    case "code":
      return `{"$code": ${JSON.stringify(value.v)}}`;
    case "symbol":
      return `{"$symbol": ${JSON.stringify(value.v)}}`;
    case "scoped":
      return `{"$code": ${JSON.stringify(value.v)}, "$scope": ${objectText(value.scope, spell)}}`;
    case "timestamp":
      return `{"$timestamp": {"t": ${value.seconds}, "i": ${value.increment}}}`;
    case "int64":
      return `{"$numberLong": "${value.v}"}`;
    case "decimal":
      return `{"$numberDecimal": "${value.v}"}`;
    case "minKey":
      return '{"$minKey": 1}';
    case "maxKey":
      return '{"$maxKey": 1}';
    default:
      throw new Error(`no common spelling of ${value.t}`);
  }
};

/** Canonical extended JSON. */
export const canonical: Spell = (value) => {
  switch (value.t) {
    case "double":
      return `{"$numberDouble": "${javaDouble(value.v)}"}`;
    case "int32":
      return `{"$numberInt": "${value.v}"}`;
    case "binary":
      return `{"$binary": {"base64": "${base64(value.v)}", "subType": "${byteHex(value.sub)}"}}`;
    case "date":
      return `{"$date": {"$numberLong": "${value.v}"}}`;
    case "regex":
      return `{"$regularExpression": {"pattern": ${JSON.stringify(value.v)}, "options": "${value.options}"}}`;
    case "dbPointer":
      return `{"$dbPointer": {"$ref": ${JSON.stringify(value.ns)}, "$id": {"$oid": "${hex(value.id)}"}}}`;
    default:
      return common(value, canonical);
  }
};

/** Relaxed extended JSON, as the Java driver writes it. */
export const relaxed: Spell = (value) => {
  switch (value.t) {
    case "double":
      return Number.isFinite(value.v) ? javaDouble(value.v) : canonical(value);
    case "int32":
    case "int64":
      return String(value.v);
    case "date": {
      const inRange = value.v >= 0n && value.v < 253402300800000n;
      return inRange ? `{"$date": "${new Date(Number(value.v)).toISOString()}"}` : canonical(value);
    }
    case "binary":
    case "regex":
    case "dbPointer":
      return canonical(value);
    default:
      return common(value, relaxed);
  }
};

/** The connector's DefaultJson. */
export const legacy: Spell = (value) => {
  switch (value.t) {
    case "double":
      return javaDouble(value.v);
    case "int32":
      return String(value.v);
    case "binary":
      return `{"$binary": "${base64(value.v)}", "$type": "${byteHex(value.sub).toUpperCase()}"}`;
    case "date":
      return `{"$date": ${value.v}}`;
    case "regex":
      return `{"$regex": ${JSON.stringify(value.v)}, "$options": "${value.options}"}`;
    case "dbPointer":
      return `{"$ref": ${JSON.stringify(value.ns)}, "$id": {"$oid": "${hex(value.id)}"}}`;
    default:
      return common(value, legacy);
  }
};

/** No `$` at the start: a subdocument that looks like a type wrapper is one in JSON. No zero byte: BSON forbids it. */
const fieldName = fc.oneof(
  { weight: 6, arbitrary: fc.stringMatching(/^[a-z]{1,8}$/) },
  fc.constantFrom("", "0", "1", "10", "a.b", "ключ", "_id", "__proto__", "constructor", "x$", '"', "\\", "😀"),
  fc.string({ unit: "grapheme", maxLength: 6 }).filter((name) => !name.startsWith("$") && !name.includes("\0")),
);

const text = fc.string({ unit: "grapheme", maxLength: 20 });
const cText = text.filter((value) => !value.includes("\0"));
const twelve = fc.uint8Array({ minLength: 12, maxLength: 12 });
const long = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constantFrom(0n, 1n, -1n, 2n ** 31n, -(2n ** 31n), 2n ** 53n, 2n ** 53n + 1n, -(2n ** 63n), 2n ** 63n - 1n),
  fc.bigInt({ min: -1000n, max: 1000n }),
);

const EXPONENT_BIAS = 6176n;

/** Bytes are put together here from the parts; the text is the scientific form of the same parts. */
const decimal = fc
  .tuple(fc.boolean(), fc.bigInt({ min: 0n, max: 10n ** 34n - 1n }), fc.integer({ min: -6176, max: 6111 }))
  .map(([negative, coefficient, exponent]): Value => {
    const bytes = Buffer.alloc(16);
    bytes.writeBigUInt64LE(coefficient & 0xffff_ffff_ffff_ffffn, 0);
    const high = (coefficient >> 64n) | ((BigInt(exponent) + EXPONENT_BIAS) << 49n) | (negative ? 1n << 63n : 0n);
    bytes.writeBigUInt64LE(high, 8);
    return { t: "decimal", v: `${negative ? "-" : ""}${coefficient}E${exponent}`, bytes };
  });

const finiteDouble = fc.double({ noNaN: true });

const scalar: fc.Arbitrary<Value> = fc.oneof(
  fc.oneof(finiteDouble, fc.constantFrom(Number.NaN, -0, 5, 1e21, 5e-324)).map((v): Value => ({ t: "double", v })),
  text.map((v): Value => ({ t: "string", v })),
  fc
    .tuple(fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 9, 128, 255), fc.uint8Array({ maxLength: 20 }))
    .map(([sub, v]): Value => ({ t: "binary", sub, v })),
  fc.constantFrom<Value>({ t: "undefined" }, { t: "null" }, { t: "minKey" }, { t: "maxKey" }),
  twelve.map((v): Value => ({ t: "objectId", v })),
  fc.boolean().map((v): Value => ({ t: "boolean", v })),
  long.map((v): Value => ({ t: "date", v })),
  fc.tuple(cText, fc.constantFrom("", "i", "imx", "s")).map(([v, options]): Value => ({ t: "regex", v, options })),
  fc.tuple(text, twelve).map(([ns, id]): Value => ({ t: "dbPointer", ns, id })),
  text.map((v): Value => ({ t: "code", v })),
  text.map((v): Value => ({ t: "symbol", v })),
  fc.oneof(fc.integer(), fc.integer({ min: -9, max: 9 })).map((v): Value => ({ t: "int32", v })),
  fc
    .tuple(fc.nat({ max: 0xffffffff }), fc.nat({ max: 0xffffffff }))
    .map(([seconds, increment]): Value => ({ t: "timestamp", seconds, increment })),
  long.map((v): Value => ({ t: "int64", v })),
  decimal,
);

const { value, fields } = fc.letrec<{ value: Value; fields: Fields }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    { weight: 8, arbitrary: scalar },
    tie("fields").map((v): Value => ({ t: "object", v: v as Fields })),
    fc.array(tie("value"), { maxLength: 4 }).map((v): Value => ({ t: "array", v: v as Value[] })),
    fc.tuple(text, tie("fields")).map(([v, scope]): Value => ({ t: "scoped", v, scope: scope as Fields })),
  ),
  fields: fc.array(fc.tuple(fieldName, tie("value")), { maxLength: 6 }) as fc.Arbitrary<Fields>,
}));

export const anyValue: fc.Arbitrary<Value> = value;
export const anyFields: fc.Arbitrary<Fields> = fields;

/** Whether the legacy dialect keeps this value as it is; a DBPointer becomes a DBRef subdocument there. */
export const survivesLegacy = (tree: Value): boolean => {
  switch (tree.t) {
    case "dbPointer":
      return false;
    case "object":
      return tree.v.every(([, item]) => survivesLegacy(item));
    case "scoped":
      return tree.scope.every(([, item]) => survivesLegacy(item));
    case "array":
      return tree.v.every(survivesLegacy);
    default:
      return true;
  }
};
