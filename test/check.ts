import { spawnSync } from "node:child_process";

const [TSC, BIOME, PROSE] = [
  "node_modules/typescript/bin/tsc",
  "node_modules/@biomejs/biome/bin/biome",
  "docs/checkProse.ts",
];

/** What must hold before any test runs. `npm run check` runs only this, `npm run fix` applies the safe fixes first. */
const CHECKS: readonly Readonly<{ name: string; command: readonly string[] }>[] = [
  { name: "types (tsc)", command: [TSC, "--pretty", "false"] },
  { name: "types of the console (tsc)", command: [TSC, "--pretty", "false", "-p", "console"] },
  { name: "style (biome)", command: [BIOME, "check", "--diagnostic-level=error", "--max-diagnostics=50", "."] },
  { name: "prose (docs, comments, help, error catalogue)", command: ["--disable-warning=ExperimentalWarning", PROSE] },
];

/** Runs the checks and prints what they object to. True when nothing does. */
export const check = (): boolean => {
  const failed = CHECKS.filter(({ name, command }) => {
    const started = performance.now();
    const { status, stdout, stderr } = spawnSync(process.execPath, command, {
      encoding: "utf8",
      maxBuffer: 2 ** 28,
    });
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    if (status !== 0) console.log(`${stdout}${stderr}`);
    console.log(`${status === 0 ? "ok  " : "FAIL"} ${name} (${seconds} s)`);
    return status !== 0;
  });
  return failed.length === 0;
};

/** Formats, sorts imports, wraps pages, and applies the fixes that cannot change what the code does. */
const fix = (): void => {
  for (const command of [
    [BIOME, "check", "--write", "--diagnostic-level=error", "."],
    [PROSE, "--fix"],
  ])
    spawnSync(process.execPath, command, { stdio: "ignore" });
};

if (import.meta.main) {
  if (process.argv.includes("--fix")) fix(); // the check reports the rest
  process.exitCode = check() ? 0 : 1;
}
