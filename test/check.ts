import { spawnSync } from "node:child_process";
import { join } from "node:path";

/** What must hold before any test runs: types, and the linter's errors. `npm run check` runs only this, `npm run fix` applies the safe fixes first. */
const CHECKS: readonly Readonly<{ name: string; command: readonly string[] }>[] = [
  { name: "types (tsc)", command: ["typescript/bin/tsc", "--pretty", "false"] },
  {
    name: "style (biome)",
    command: ["@biomejs/biome/bin/biome", "check", "--diagnostic-level=error", "--max-diagnostics=50", "."],
  },
];

/** Runs the checks and prints what they object to. True when nothing does. */
export const check = (): boolean => {
  const failed = CHECKS.filter(({ name, command: [bin = "", ...args] }) => {
    const started = performance.now();
    const { status, stdout, stderr } = spawnSync(process.execPath, [join("node_modules", bin), ...args], {
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

/** Formats, sorts imports, and applies the fixes that cannot change what the code does. */
const fix = (): void => {
  const biome = join("node_modules", "@biomejs/biome/bin/biome");
  spawnSync(process.execPath, [biome, "check", "--write", "--diagnostic-level=error", "."], { stdio: "ignore" });
};

if (import.meta.main) {
  if (process.argv.includes("--fix")) fix(); // what is left is told by the check
  process.exitCode = check() ? 0 : 1;
}
