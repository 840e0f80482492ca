import { Argument, Option } from "commander";
import { suggestion } from "#base/config/suggest.ts";
import { FerryError } from "#base/errors/ferryError.ts";

/** The value that is meant, in whatever case it is written. @throws FERRY_USAGE naming those that there are, and the one that was probably meant */
export const chosen = <T extends string>(flag: string, text: string, values: readonly T[]): T => {
  const value = values.find((known) => known.toLowerCase() === text.toLowerCase());
  if (value !== undefined) return value;
  const sentence = `${flag} must be one of ${values.join(", ")}, not "${text}"`;
  throw new FerryError("FERRY_USAGE", `${sentence}${suggestion(text, values)}`);
};

/** A flag with fixed values, which help and completion list; others are refused. */
export const choiceFlag = (flags: string, description: string, values: readonly string[]): Option => {
  const option = new Option(flags, description).choices(values);
  return option.argParser((text) => chosen(option.long ?? flags, text, values));
};

/** `choiceFlag` for an argument. */
export const choiceArgument = (name: string, description: string, values: readonly string[]): Argument =>
  new Argument(name, description).choices(values).argParser((text) => chosen(name, text, values));
