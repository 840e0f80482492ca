import { FerryError } from "#base/errors/ferryError.ts";

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/** `500ms`, `5s`, `2m`, `12h`, `30d` as milliseconds. @throws FERRY_USAGE */
export const milliseconds = (flag: string, text: string): number => {
  const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/.exec(text.trim()) ?? [];
  const ms = Number(number) * (UNITS[unit] ?? Number.NaN);
  if (number !== "" && ms > 0) return Math.round(ms);
  throw new FerryError("FERRY_USAGE", `${flag} must be a time such as 500ms, 5s, 2m, 12h or 30d, not "${text}"`);
};
