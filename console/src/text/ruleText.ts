/** Rules as a person types them. */

/** Paths with commas or spaces between. */
export const pathsOf = (text: string): string[] => text.split(/[\s,]+/).filter((path) => path !== "");

/** A row filter as JSON; undefined where there is none, a sentence where it is no filter. */
export const whereOf = (text: string): Record<string, unknown> | undefined | string => {
  if (text.trim() === "") return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    return 'The query is not an object, such as {"active": true}.';
  } catch {
    return 'The query is not JSON: names and texts need quotes, as in {"active": true}.';
  }
};
