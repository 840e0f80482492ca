import { type Node, nodesOf, type Value } from "./tree.ts";

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** A word and its description, as `_describe` reads them. */
const item = (name: string, description: string): string =>
  quoted(`${name.replaceAll(":", "\\:")}:${description.replaceAll("\n", " ")}`);

const fromValue = (value: Value): string => {
  if (typeof value === "object") return `compadd -- ${value.map(quoted).join(" ")}`;
  return value === "file" ? "_files" : ":";
};

const flagCases = ({ path, flags }: Node): readonly string[] =>
  flags
    .filter(({ value }) => value !== "none")
    .map(({ names, value }) => {
      const patterns = names.map((name) => quoted(`${path}:${name}`)).join("|");
      return `    ${patterns}) ${fromValue(value)}; return ;;`;
    });

const nodeCase = ({ path, children, flags, value }: Node): string => {
  const commands = children.map(({ name, description }) => item(name, description));
  const options = flags.flatMap(({ names, description }) => names.map((name) => item(name, description)));
  return `    ${quoted(path)})
      commands=(${commands.join(" ")})
      options=(${options.join(" ")})
      ${fromValue(value)} ;;`;
};

/** @returns the script that `source <(ferry completion zsh)` reads, or a file `_ferry` in a folder of $fpath */
export const zshCompletion = (tree: Node): string => {
  const nodes = nodesOf(tree);
  const steps = nodes.flatMap(({ path, children }) => children.map(({ name }) => quoted(`${path}/${name}`)));
  return `#compdef ferry
# ferry completion for zsh: source <(ferry completion zsh)
_ferry() {
  local at="" word
  local -a commands options
  for word in "\${words[@]:1:$((CURRENT - 2))}"; do
    case "$at/$word" in
      ${steps.join("|")}) at="\${at:+$at }$word" ;;
    esac
  done
  case "$at:\${words[CURRENT - 1]}" in
${nodes.flatMap(flagCases).join("\n")}
  esac
  case "$at" in
${nodes.map(nodeCase).join("\n")}
  esac
  if (( $#commands )); then _describe command commands; fi
  if [[ "\${words[CURRENT]}" == -* ]]; then _describe -o option options; fi
}
if [[ "\${funcstack[1]}" == _ferry ]]; then _ferry "$@"; else compdef _ferry ferry; fi`;
};
