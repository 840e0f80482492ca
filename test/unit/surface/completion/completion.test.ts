import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { ferryProgram } from "../../../../src/surface/cli/program.ts";
import { bashCompletion } from "../../../../src/surface/completion/bash.ts";
import { fishCompletion } from "../../../../src/surface/completion/fish.ts";
import { completionTree } from "../../../../src/surface/completion/tree.ts";
import { zshCompletion } from "../../../../src/surface/completion/zsh.ts";

const TREE = completionTree(await ferryProgram(["completion"]));

const hasShell = (shell: string): boolean => spawnSync(shell, ["-c", "true"]).status === 0;

const ran = (shell: string, script: string): string => {
  const { stdout, stderr, status } = spawnSync(shell, ["-c", script], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return stdout.trim();
};

/** What is typed, and all of what a shell must offer for its last word (of words that start with `-`, some). */
const CASES: readonly (readonly [typed: readonly string[], offered: readonly string[]])[] = [
  [["ru"], ["run"]],
  [["dlq", "re"], ["replay"]],
  [
    ["run", "--spool", ""],
    ["auto", "always", "never"],
  ],
  [
    ["run", "--target", "mongodb://run", "--read-preference", "secondary"],
    ["secondaryPreferred", "secondary"],
  ],
  [["worker", "--on-error", "s"], ["stop"]],
  [["capture", "--log-level", "w"], ["warn"]],
  [["completion", "z"], ["zsh"]],
  [["drift", "decide", "route", "path", "pa"], ["pass"]],
  [["run", "--target", "ru"], []],
  [["check", "--print-r"], ["--print-roles"]],
  [["kc", "--config"], []],
];

test("bash completes commands, subcommands, flags and fixed values", { skip: !hasShell("bash") }, () => {
  for (const [typed, offered] of CASES) {
    const script = `${bashCompletion(TREE)}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ferry; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = spawnSync("bash", ["-c", script, "bash", "ferry", ...typed], { encoding: "utf8" });
    assert.deepEqual(stdout.trim().split("\n"), offered.length === 0 ? [""] : offered, typed.join(" "));
  }
});

test("fish completes the same", { skip: !hasShell("fish") }, () => {
  for (const [typed, offered] of CASES) {
    const line = ["ferry", ...typed].join(" ");
    const found = ran("fish", `${fishCompletion(TREE)}\ncomplete -C ${JSON.stringify(line)}`);
    const words = found === "" ? [] : found.split("\n").map((one) => one.split("\t")[0]);
    assert.deepEqual(words.sort(), [...offered].sort(), line);
  }
});

test("zsh completes the same", { skip: !hasShell("zsh") }, () => {
  // Its completion functions, reduced to what they are given: words are filtered by the shell itself.
  const functions = `
compdef() { : }
compadd() { shift; print -l -- "$@" }
_describe() { print -l -- "\${(@P)argv[-1]}" }`;
  for (const [typed, offered] of CASES) {
    const words = ["ferry", ...typed].map((word) => `'${word}'`);
    const script = `${functions}\n${zshCompletion(TREE)}\nwords=(${words.join(" ")}); CURRENT=${words.length}; _ferry`;
    const last = typed.at(-1) ?? "";
    const found = ran("zsh", script)
      .split("\n")
      .map((line) => line.split(":")[0] ?? "");
    const fitting = found.filter((word) => word !== "" && word.startsWith(last));
    assert.deepEqual(fitting, offered, typed.join(" "));
  }
});

test("each shell's script names every command", () => {
  const names = TREE.children.map(({ name }) => name);
  assert.ok(names.includes("finalize") && names.includes("gen-data"));
  for (const script of [bashCompletion(TREE), zshCompletion(TREE), fishCompletion(TREE)])
    assert.deepEqual(
      names.filter((name) => !script.includes(name)),
      [],
    );
});
