import { Argument, Option } from "commander";

const asGiven = (text: string): string => text;

/** A flag with fixed values, which help and completion list. The command itself refuses others, in its own words. */
export const choiceFlag = (flags: string, description: string, values: readonly string[]): Option =>
  new Option(flags, description).choices(values).argParser(asGiven);

/** `choiceFlag` for an argument. */
export const choiceArgument = (name: string, description: string, values: readonly string[]): Argument =>
  new Argument(name, description).choices(values).argParser(asGiven);
