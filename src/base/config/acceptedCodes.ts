import { CATALOGUE } from "#base/errors/catalogue.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { listed } from "#base/flow/namespaceFilter.ts";
import { nearest } from "./suggest.ts";

/** Refuses what is not an error code of ferry's. @throws FERRY_USAGE */
export const requireCode = (flag: string, code: string): void => {
  if (Object.hasOwn(CATALOGUE, code)) return;
  const close = nearest(code, Object.keys(CATALOGUE));
  const hint = close === undefined ? "docs/errors.md lists them" : `did you mean ${close}?`;
  throw new FerryError("FERRY_USAGE", `${flag}: ${code} is not an error code; ${hint}`);
};

/** What `--accept` names. @throws FERRY_USAGE */
export const acceptedCodes = (text = ""): readonly string[] => {
  const codes = listed(text);
  for (const code of codes) requireCode("--accept", code);
  return codes;
};
