import { type Node, nodesOf, type Value } from "./tree.ts";

/** Words of ferry's own: letters, digits, `-` and `_`, so that none needs quotes within the quotes here. */
const fromWords = (words: readonly string[]): string => `COMPREPLY=($(compgen -W "${words.join(" ")}" -- "$current"))`;

const fromValue = (value: Value): string => {
  if (typeof value === "object") return fromWords(value);
  return value === "file" ? 'compopt -o filenames 2> /dev/null; COMPREPLY=($(compgen -f -- "$current"))' : ":";
};

const flagCases = ({ path, flags }: Node): readonly string[] =>
  flags
    .filter(({ value }) => value !== "none")
    .map(({ names, value }) => {
      const patterns = names.map((name) => `"${path}:${name}"`).join("|");
      return `    ${patterns}) ${fromValue(value)}; return ;;`;
    });

const nodeCase = ({ path, children, flags, value }: Node): string => {
  const own = typeof value === "object" ? value : [];
  const words = [...children.map(({ name }) => name), ...own, ...flags.flatMap(({ names }) => names)];
  const files = value === "file" ? '; compopt -o filenames 2> /dev/null; COMPREPLY+=($(compgen -f -- "$current"))' : "";
  return `    "${path}") ${fromWords(words)}${files} ;;`;
};

/** @returns the script that `source <(ferry completion bash)` reads */
export const bashCompletion = (tree: Node): string => {
  const nodes = nodesOf(tree);
  const steps = nodes.flatMap(({ path, children }) => children.map(({ name }) => `"${path}/${name}"`));
  return `# ferry completion for bash: source <(ferry completion bash)
_ferry() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD - 1]}" at="" word
  COMPREPLY=()
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$at/$word" in
      ${steps.join("|")}) at="\${at:+$at }$word" ;;
    esac
  done
  case "$at:$previous" in
${nodes.flatMap(flagCases).join("\n")}
  esac
  case "$at" in
${nodes.map(nodeCase).join("\n")}
  esac
}
complete -F _ferry ferry`;
};
