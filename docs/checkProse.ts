/** `npm run check` runs it: width and words of pages, words of comments, help and catalogue (docs/prose.ts). With `--fix` it wraps the pages. */
import type { Command } from "commander";
import { CATALOGUE } from "#base/errors/catalogue.ts";
import { ferryProgram } from "#surface/cli/program.ts";
import { bannedIn, proseComplaints, wrapPages } from "./prose.ts";

const helpOf = (command: Command): readonly string[] => [
  command.helpInformation(),
  ...command.commands.flatMap((child) => helpOf(child)),
];

/** What users read besides the pages, by where it stands. */
const texts = async (): Promise<readonly (readonly [where: string, text: string])[]> => [
  ...Object.entries(CATALOGUE).map(([code, { meaning, hint }]) => [code, `${meaning}\n${hint}`] as const),
  ...helpOf(await ferryProgram(["completion"])).map(
    (help) => [/^Usage: (.*)/.exec(help)?.[1] ?? "help", help] as const,
  ),
];

if (import.meta.main) {
  if (process.argv.includes("--fix")) wrapPages();
  const complaints = [
    ...proseComplaints(),
    ...(await texts()).flatMap(([where, text]) => bannedIn(text).map((banned) => `${where}: ${banned}`)),
  ];
  for (const complaint of complaints) console.log(complaint);
  process.exitCode = complaints.length === 0 ? 0 : 1;
}
