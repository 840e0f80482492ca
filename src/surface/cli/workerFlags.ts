import { type Command, Option } from "commander";
import { acceptedCodes } from "#base/config/acceptedCodes.ts";
import { WORKER_OPTIONS, type WorkerOptions } from "#base/config/workerOptions.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { listed } from "#base/flow/namespaceFilter.ts";
import { choiceFlag, chosen } from "./choices.ts";
import { wholeNumber } from "./connections.ts";

type Property = Readonly<{
  description: string;
  default: unknown;
  /** Several, comma-separated: the flag may be repeated. */
  list?: true;
  type?: string;
  minimum?: number;
  maximum?: number;
  enum?: readonly string[];
}>;

const properties = Object.entries(WORKER_OPTIONS.properties) as unknown as [keyof WorkerOptions, Property][];

const flagOf = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** A flag's text as the schema's kind of value. @throws FERRY_USAGE naming the values that there are */
const parsed = (
  name: string,
  text: string,
  { type, minimum: min = 0, maximum: max, enum: known }: Property,
): unknown => {
  if (type === "integer") return wholeNumber(flagOf(name), text, { min, ...(max === undefined ? {} : { max }) });
  return known === undefined ? text : chosen(flagOf(name), text, known);
};

/** Flags to options: defaults, numbers, and one sentence for what does not fit. @throws FERRY_USAGE */
export const parseWorkerOptions = (flags: Readonly<Record<string, string | undefined>>): WorkerOptions => {
  const options = Object.fromEntries(
    properties.map(([name, property]) => {
      const text = flags[name];
      return [name, text === undefined ? property.default : parsed(name, text, property)];
    }),
  ) as WorkerOptions;
  acceptedCodes(options.accept);
  if (listed(options.topics).length === 0)
    throw new FerryError("FERRY_USAGE", "--topics is empty: nothing would be applied; leave it out for all topics");
  return options;
};

/** A flag that is given again adds to its list. */
const joined = (text: string, before: string | undefined): string =>
  before === undefined ? text : `${before},${text}`;

const flag = (name: string, description: string, { enum: known, list }: Property): Option => {
  const flags = `${flagOf(name)} <value>`;
  if (known !== undefined) return choiceFlag(flags, description, known);
  const option = new Option(flags, description);
  return list === true ? option.argParser(joined) : option;
};

type ShownOptions = Readonly<{
  /** All of them by default. */
  only?: readonly (keyof WorkerOptions)[];
  without?: readonly (keyof WorkerOptions)[];
  /** In place of the schema's own. */
  defaults?: Partial<WorkerOptions>;
}>;

/** Adds a flag for each option of a worker, but those left out. */
export const withWorkerOptions = (command: Command, { only, without = [], defaults = {} }: ShownOptions = {}): void => {
  for (const [name, property] of properties)
    if ((only ?? [name]).includes(name) && !without.includes(name)) {
      const value = JSON.stringify(defaults[name] ?? property.default);
      command.addOption(flag(name, `${property.description} (default: ${value})`, property));
    }
};
