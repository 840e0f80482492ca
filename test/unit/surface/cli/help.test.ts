import assert from "node:assert/strict";
import { test } from "node:test";
import type { Command, Option } from "commander";
import { isFerry } from "#base/errors/ferryError.ts";
import { EXAMPLES } from "../../../../src/surface/cli/examples.ts";
import { ferryProgram } from "../../../../src/surface/cli/program.ts";

type Found = Readonly<{ path: string; command: Command }>;

/** Every command that can be called, with its words. */
const callable = (command: Command, words: readonly string[] = []): readonly Found[] => {
  const children = command.commands.flatMap((child) => callable(child, [...words, child.name()]));
  const acts = children.length === 0 || command.options.length > 0;
  return words.length > 0 && acts ? [{ path: words.join(" "), command }, ...children] : children;
};

const everything = (): Promise<Command> => ferryProgram(["completion"]);

/** As a shell splits it, where only single quotes are used. */
const wordsOf = (line: string): string[] =>
  [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? "");

test("every command has one example, which its help shows, and there are no others", async () => {
  const all = callable(await everything());
  assert.deepEqual(all.map(({ path }) => path).sort(), Object.keys(EXAMPLES).sort());
  for (const { path, command } of all) {
    let help = "";
    command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
    assert.ok(help.endsWith(`\nExample:\n  $ ${EXAMPLES[path]}\n`), `${path}: ${help.slice(-200)}`);
  }
});

test("every example is parsed by its own command", async () => {
  for (const [path, line] of Object.entries(EXAMPLES)) {
    const [, ...words] = wordsOf(line.replace(/^source <\((.*)\)$/, "$1"));
    const program = await ferryProgram(words, true);
    const found = callable(program).find((one) => one.path === path);
    assert.ok(found !== undefined, path);
    let ran = "";
    found.command.action(() => {
      ran = path;
    });
    await program.parseAsync(words, { from: "user" });
    assert.equal(ran, path);
  }
});

const valueTaken = ({ required, optional, variadic }: Option): string =>
  `${required ? "a value" : optional ? "perhaps a value" : "none"}${variadic ? "s" : ""}`;

test("a flag takes the same everywhere: a value, or none", async () => {
  const shapes = new Map<string, Set<string>>();
  for (const { command } of callable(await everything()))
    for (const option of command.options) {
      const shape = `${option.short ?? ""} ${valueTaken(option)} ${(option.argChoices ?? []).join("|")}`;
      const known = shapes.get(option.long ?? "") ?? new Set();
      shapes.set(option.long ?? "", known.add(shape));
    }
  const different = [...shapes]
    .filter(([, all]) => all.size > 1)
    .map(([name, all]) => `${name}: ${[...all].join(" / ")}`);
  assert.deepEqual(different, []);
});

test("a value that is mistyped is refused with those that there are, and the one that was probably meant", async () => {
  const cases = [
    [["run", "--spool", "allways"], '--spool must be one of auto, always, never, not "allways"; did you mean always?'],
    [["worker", "--log-level", "warning"], /--log-level must be one of debug, .*; did you mean warn\?$/],
    [["token", "create", "--role", "opperator"], /; did you mean operator\?$/],
    [["drift", "decide", "a", "b", "pas"], /; did you mean pass\?$/],
    [["completion", "tcsh"], /^<shell> must be one of bash, zsh, fish, not "tcsh"; did you mean (bash|zsh|fish)\?$/],
    [["conflicts", "--winner", "xyzzy"], '--winner must be one of source, target, not "xyzzy"'],
  ] as const;
  for (const [words, detail] of cases) {
    const program = await ferryProgram(words, true);
    await assert.rejects(program.parseAsync([...words], { from: "user" }), (error) => {
      assert.ok(isFerry(error, "FERRY_USAGE"), String(error));
      if (typeof detail === "string") assert.equal(error.detail, detail);
      else assert.match(error.detail, detail);
      return true;
    });
  }
});
