import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export type Row = Readonly<Record<string, string | number | null>>;
export type BenchResult = Readonly<{
  name: string;
  rows: readonly Row[];
  ratios: Readonly<Record<string, number>>;
  versions: Readonly<Record<string, string>>;
}>;

const FOLDER = join(dirname(dirname(fileURLToPath(import.meta.url))), "results");

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
};

/** The value below which `share` (0–1) of the values lie. */
export const quantile = (values: readonly number[], share: number): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
};

export const round = (value: number, digits = 2): number => Number(value.toFixed(digits));

/** What was measured; with `-dirty` where files differ from it. */
const commit = (): string => {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty", "--exclude", "*"], { encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
};

const printTable = (rows: readonly Row[]): void => {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cells = rows.map((row) => columns.map((column) => String(row[column] ?? "")));
  const widths = columns.map((column, i) => Math.max(column.length, ...cells.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join("  ");
  console.log(line(columns));
  console.log(widths.map((width) => "-".repeat(width)).join("  "));
  for (const row of cells) console.log(line(row));
};

/** Prints the table and the ratios, and writes `bench/results/NAME.json` where they are for the record. */
export const report = ({ name, rows, ratios, versions }: BenchResult, record: boolean): void => {
  printTable(rows);
  console.log();
  for (const [key, value] of Object.entries(ratios)) console.log(`${key.padEnd(24)} ${value}`);
  if (!record) return;
  const machine = {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
  };
  const file = join(FOLDER, `${name}.json`);
  mkdirSync(FOLDER, { recursive: true });
  const versionsNow = { node: process.versions.node, commit: commit(), ...versions };
  writeFileSync(
    file,
    `${JSON.stringify({ name, at: new Date().toISOString(), machine, versions: versionsNow, rows, ratios }, null, 2)}\n`,
  );
  console.log(`\nwritten: bench/results/${name}.json`);
};
