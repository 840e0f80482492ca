import type { AttributeRule } from "./poolRules.ts";

/** E.164. */
const PHONE = /^\+[1-9]\d{1,14}$/;
const EMAIL = /^[^\s@]+@[^\s@]+$/;

/** Formats that Cognito asks of standard attributes beside their type. */
const FORMATS: ReadonlyMap<string, Readonly<{ is: RegExp; called: string }>> = new Map([
  ["email", { is: EMAIL, called: "an e-mail address" }],
  ["phone_number", { is: PHONE, called: "a phone number such as +14155550123" }],
  ["birthdate", { is: /^\d{4}-\d\d-\d\d$/, called: "a day such as 1990-12-31" }],
]);

const numberFlaw = (text: string, { least, most }: AttributeRule): string | undefined => {
  const value = Number(text);
  if (!Number.isFinite(value)) return "is not a number";
  return value < least || value > most ? `is not between ${least} and ${most}` : undefined;
};

const textFlaw = (text: string, { least, most }: AttributeRule): string | undefined => {
  const length = [...text].length;
  if (length < least) return `has ${length} characters, and needs ${least}`;
  return length > most ? `has ${length} characters, and may have ${most}` : undefined;
};

const typeFlaw = (text: string, rule: AttributeRule): string | undefined => {
  switch (rule.type) {
    case "Number":
      return numberFlaw(text, rule);
    case "Boolean":
      return text === "true" || text === "false" ? undefined : "is neither true nor false";
    case "DateTime":
      return Number.isNaN(Date.parse(text)) ? "is not a date" : undefined;
    default:
      return textFlaw(text, rule);
  }
};

/** Why the pool would refuse a value, as the end of a sentence that does not show it; undefined where it takes it. */
export const attributeFlaw = (text: string, rule: AttributeRule): string | undefined => {
  const format = FORMATS.get(rule.name);
  if (format?.is.test(text) === false) return `is not ${format.called}`;
  return typeFlaw(text, rule);
};
