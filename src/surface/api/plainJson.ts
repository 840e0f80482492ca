import { withoutSecrets } from "#base/errors/secrets.ts";

/**
 * An answer as plain JSON: times as text, and no text of ferry's own with a password in it.
 * @param isData parts of it are users' documents, whose texts are sent as they are
 */
export const plainJson = (value: unknown, isData: boolean): unknown => {
  if (typeof value === "string") return isData ? value : withoutSecrets(value);
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map((one) => plainJson(one, isData));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plainJson(inner, isData)]));
};
