/** Extended JSON's wrappers, as people write such values; what is no int32 keeps its type in sight. */
const WRAPPERS: readonly (readonly [RegExp, string])[] = [
  [/\{\s*"\$numberInt":\s*"(-?\d+)"\s*\}/g, "$1"],
  [/\{\s*"\$numberDouble":\s*"([^"]+)"\s*\}/g, "$1"],
  [/\{\s*"\$numberLong":\s*"(-?\d+)"\s*\}/g, "Long($1)"],
  [/\{\s*"\$numberDecimal":\s*"([^"]+)"\s*\}/g, "Decimal($1)"],
  [/\{\s*"\$oid":\s*"([0-9a-f]+)"\s*\}/g, "ObjectId($1)"],
  [/\{\s*"\$date":\s*"([^"]+)"\s*\}/g, "Date($1)"],
];

/** A value as text, on one line or indented. */
export const valueText = (value: unknown, indent?: number): string =>
  WRAPPERS.reduce(
    (text, [pattern, plain]) => text.replaceAll(pattern, plain),
    JSON.stringify(value, null, indent) ?? "",
  );
