/**
 * `npm run changelog -- VERSION`: moves the fragments of `changelog.d` into CHANGELOG.md, under a heading for that version.
 * A fragment is one paragraph in `NAME.feature.md`, `NAME.fix.md` or `NAME.breaking.md`.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const FOLDER = "changelog.d";
const FILE = "CHANGELOG.md";
const TITLE = "# Changelog\n";
const SECTIONS = [
  ["breaking", "Breaking changes"],
  ["feature", "New"],
  ["fix", "Fixed"],
] as const;

/** The section of one release; fragments by file name. @throws where a fragment's name tells no kind */
export const release = (version: string, date: string, fragments: ReadonlyMap<string, string>): string => {
  const kinds = new Map<string, string[]>(SECTIONS.map(([kind]) => [kind, []]));
  for (const [name, text] of [...fragments].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const kind = /\.(\w+)\.md$/.exec(name)?.[1] ?? "";
    const list = kinds.get(kind);
    if (list === undefined)
      throw new Error(`${name}: name it NAME.${SECTIONS.map(([known]) => known).join(".md, NAME.")}.md`);
    list.push(`- ${text.trim().replaceAll("\n", "\n  ")}`);
  }
  const sections = SECTIONS.flatMap(([kind, title]) => {
    const list = kinds.get(kind) ?? [];
    return list.length === 0 ? [] : [`### ${title}\n\n${list.join("\n")}\n`];
  });
  return `## ${version} (${date})\n\n${sections.join("\n")}`;
};

const main = (version: string | undefined): number => {
  if (version === undefined || !/^\d+\.\d+\.\d+/.test(version)) {
    console.error("usage: npm run changelog -- VERSION, such as 0.2.0");
    return 64;
  }
  const names = readdirSync(FOLDER).filter((name) => name.endsWith(".md"));
  const fragments = new Map(names.map((name) => [name, readFileSync(join(FOLDER, name), "utf8")]));
  const before = existsSync(FILE) ? readFileSync(FILE, "utf8").replace(TITLE, "") : "";
  writeFileSync(FILE, `${TITLE}\n${release(version, new Date().toISOString().slice(0, 10), fragments)}${before}`);
  for (const name of names) rmSync(join(FOLDER, name));
  console.log(`${FILE}: ${version} with ${names.length} changes`);
  return 0;
};

if (import.meta.main) process.exitCode = main(process.argv[2]);
