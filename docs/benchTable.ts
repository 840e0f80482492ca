/** Figures for the pages, made of what was recorded: bench/results/NAME.json. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

type Row = Readonly<Record<string, string | number | null>>;
type Recorded = Readonly<{
  at: string;
  machine: Readonly<{ cpu: string; cores: number; memoryGb: number }>;
  versions: Readonly<Record<string, string>>;
  rows: readonly Row[];
  ratios: Readonly<Record<string, number>>;
}>;

const FOLDER = fileURLToPath(new URL("../bench/results", import.meta.url));

const recorded = (name: string): Recorded => JSON.parse(readFileSync(join(FOLDER, `${name}.json`), "utf8")) as Recorded;

/** One line of the table for one contestant of the record, or the best of several. */
const LINES: readonly Readonly<{ shown: string; contestants: readonly string[] }>[] = [
  { shown: "`ferry worker`, one process", contestants: ["ferry worker, 1 process"] },
  { shown: "sink connector, one task", contestants: ["sink, 1 task"] },
  { shown: "sink connector, its best form", contestants: ["sink, 2 tasks, tuned", "sink, 4 tasks, tuned"] },
  {
    shown: "prepared batches straight into the target, while a consumer drains the topic",
    contestants: ["shared ceiling"],
  },
];

const rate = (rows: readonly Row[], contestants: readonly string[], column: string): string => {
  const own = rows.filter(({ contestant }) => contestants.includes(String(contestant)));
  if (own.length !== contestants.length) throw new Error(`bench/results/apply.json has not all of ${contestants}`);
  const values = own.map((row) => row[column]).filter((value) => typeof value === "number");
  return values.length === 0 ? "" : `${Math.max(...values).toLocaleString("en-US")}/s`;
};

/** What was applied, as a Markdown table with where and when it was recorded. */
export const applyFigures = (): string => {
  const { at, machine, versions, rows } = recorded("apply");
  const lines = LINES.map(
    ({ shown, contestants }) =>
      `| ${shown} | ${rate(rows, contestants, "copy/s")} | ${rate(rows, contestants, "stream/s")} |`,
  );
  const where = `${machine.cores} cores (${machine.cpu}), mongod ${versions["mongod"]}, Kafka ${versions["kafka"]}`;
  return [
    "| | copy | stream |",
    "|---|---|---|",
    ...lines,
    "",
    `Recorded ${at.slice(0, 10)} at commit \`${versions["commit"]}\` on ${where}: [bench/results/apply.json](bench/results/apply.json).`,
  ].join("\n");
};

/** Every record: when, at which commit, and its ratios, which are what can be compared between machines. */
export const recordedRatios = (): string => {
  const names = readdirSync(FOLDER)
    .filter((file) => file.endsWith(".json"))
    .map((file) => file.slice(0, -".json".length))
    .sort();
  const lines = names.map((name) => {
    const { at, versions, ratios } = recorded(name);
    const all = Object.entries(ratios).map(([ratio, value]) => `\`${ratio}\` ${value}`);
    return `| \`${name}\` | ${at.slice(0, 10)} | \`${versions["commit"] ?? "unknown"}\` | ${all.join(", ")} |`;
  });
  return ["| bench | recorded | at commit | ratios |", "|---|---|---|---|", ...lines].join("\n");
};
