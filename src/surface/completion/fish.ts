import { type Flag, type Node, nodesOf, type Value } from "./tree.ts";

const quoted = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;

const behind = ({ path }: Node): string => `complete -c ferry -n ${quoted(`__ferry_at ${quoted(path)}`)}`;

const wordsOf = (value: Value): string => {
  if (typeof value === "object") return ` -x -a ${quoted(value.join(" "))}`;
  return { file: " -r -F", any: " -x", none: "" }[value];
};

const flagLine = (node: Node, { names, value, description }: Flag): string => {
  const named = names.map((name) => (name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
  return `${behind(node)} ${named.join(" ")}${wordsOf(value)} -d ${quoted(description)}`;
};

const nodeLines = (node: Node): readonly string[] => [
  ...node.children.map(({ name, description }) => `${behind(node)} -a ${name} -d ${quoted(description)}`),
  ...(typeof node.value === "object" ? [`${behind(node)} -a ${quoted(node.value.join(" "))}`] : []),
  ...(node.value === "file" ? [`${behind(node)} -F`] : []),
  ...node.flags.map((flag) => flagLine(node, flag)),
];

/** @returns the script that `ferry completion fish | source` reads */
export const fishCompletion = (tree: Node): string => {
  const nodes = nodesOf(tree);
  const steps = nodes.flatMap(({ path, children }) => children.map(({ name }) => quoted(`${path}/${name}`)));
  return `# ferry completion for fish: ferry completion fish | source
function __ferry_at --argument-names wanted
  set -l at ''
  for word in (commandline -opc)[2..]
    switch "$at/$word"
      case ${steps.join(" ")}
        set at (string trim "$at $word")
    end
  end
  test "$at" = "$wanted"
end
complete -c ferry -f
${nodes.flatMap(nodeLines).join("\n")}`;
};
