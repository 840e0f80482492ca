import type { Command } from "commander";
import { type NamespaceSpec, parseNames } from "#base/flow/namespaceFilter.ts";

/** `--include` and `--exclude` as commander hands them over. */
export type NamesFlags = Readonly<{ include?: readonly string[]; exclude?: readonly string[] }>;

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

/**
 * Adds `--include` and `--exclude`, which take the same everywhere: namespaces or globs, each flag as often as wanted, and with
 * several of them between commas.
 */
export const withNames = (command: Command, does: Readonly<{ include: string; exclude: string }>): Command =>
  command
    .option(
      "--include <names>",
      `${does.include}: names or globs such as 'shop.*'; comma-separated, may be repeated`,
      collect,
    )
    .option("--exclude <names>", `${does.exclude}: names or globs, as for --include`, collect);

/** @throws FERRY_USAGE for what names nothing, such as an empty variable of a shell */
export const namesIn = ({ include = [], exclude = [] }: NamesFlags): NamespaceSpec => parseNames(include, exclude);
