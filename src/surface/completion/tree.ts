import type { Argument, Command, Option } from "commander";

/** What may follow a flag, or stand as an argument: fixed words, a file, anything else, or (for a switch) nothing. */
export type Value = readonly string[] | "file" | "any" | "none";

export type Flag = Readonly<{ names: readonly string[]; value: Value; description: string }>;

/** One command as a shell completes it. `path` is its words after `ferry`, with one space between: "", "dlq", "dlq list". */
export type Node = Readonly<{
  path: string;
  name: string;
  description: string;
  children: readonly Node[];
  flags: readonly Flag[];
  /** What its arguments may be. */
  value: Value;
}>;

const isFile = (placeholder: string): boolean => /\b(file|folder)\b/.test(placeholder);

const flagValue = ({ argChoices, required, optional, flags }: Option): Value => {
  if (argChoices !== undefined) return argChoices;
  if (!required && !optional) return "none";
  return isFile(flags) ? "file" : "any";
};

const flagOf = (option: Option): Flag => ({
  names: [option.short, option.long].filter((name) => typeof name === "string"),
  value: flagValue(option),
  description: option.description,
});

const argumentValue = (given: readonly Argument[]): Value => {
  const words = given.flatMap(({ argChoices = [] }) => argChoices);
  if (words.length > 0) return words;
  if (given.length === 0) return "none";
  return given.some((argument) => isFile(argument.name())) ? "file" : "any";
};

/** What a shell may complete behind `ferry`, from the commands as they are declared. */
export const completionTree = (command: Command, path: readonly string[] = []): Node => {
  const help = command.createHelp();
  return {
    path: path.join(" "),
    name: command.name(),
    description: command.description(),
    children: help.visibleCommands(command).map((child) => completionTree(child, [...path, child.name()])),
    flags: help.visibleOptions(command).map(flagOf),
    value: argumentValue(command.registeredArguments),
  };
};

/** The node and all below it. */
export const nodesOf = (node: Node): readonly Node[] => [node, ...node.children.flatMap(nodesOf)];
