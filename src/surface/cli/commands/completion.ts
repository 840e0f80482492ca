import type { Command } from "commander";
import { bashCompletion } from "#surface/completion/bash.ts";
import { fishCompletion } from "#surface/completion/fish.ts";
import { completionTree, type Node } from "#surface/completion/tree.ts";
import { zshCompletion } from "#surface/completion/zsh.ts";
import { print } from "#surface/terminal/output.ts";
import { choiceArgument } from "../choices.ts";

const SHELLS: ReadonlyMap<string, (tree: Node) => string> = new Map([
  ["bash", bashCompletion],
  ["zsh", zshCompletion],
  ["fish", fishCompletion],
]);

/** `ferry completion SHELL`: the script that completes commands, flags and fixed values. */
export const registerCompletion = (command: Command): void => {
  const shells = [...SHELLS.keys()];
  command
    .addArgument(choiceArgument("<shell>", "the shell that reads the script", shells))
    .addHelpText("after", "\nbash, zsh: source <(ferry completion bash)\nfish:      ferry completion fish | source")
    .action((shell: string) => {
      const script = SHELLS.get(shell);
      if (script !== undefined && command.parent !== null) print(script(completionTree(command.parent)));
    });
};
