/**
 * Compiles `src` into `dist`, for the package: Node does not strip types below node_modules. `npm pack` runs it. `dist` stands
 * beside `src` and mirrors it, so that relative paths to other folders of the package hold in both. The console's page is built, too.
 */
import { spawnSync } from "node:child_process";
import { cpSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const [SRC, DIST] = [join(ROOT, "src"), join(ROOT, "dist")];

/** Imports such as `#house/room/file.ts` are resolved by the nearest package.json: within `dist` that is this one. */
const SCOPE = { type: "module", imports: { "#*.ts": "./*.js" } };

const compile = (): void => {
  const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  const project = join(ROOT, "deploy", "package", "tsconfig.json");
  const { status } = spawnSync(process.execPath, [tsc, "-p", project], { stdio: "inherit" });
  if (status !== 0) throw new Error("tsc failed");
};

const buildPage = (): void => {
  const { status } = spawnSync(process.execPath, [join(ROOT, "console", "build.ts")], { stdio: "inherit" });
  if (status !== 0) throw new Error("the console's page was not built");
};

/** What the code reads beside itself, such as lists of checksums. */
const copyData = (): void => {
  const files = readdirSync(SRC, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
  for (const { parentPath, name } of files)
    if (!name.endsWith(".ts")) cpSync(join(parentPath, name), join(DIST, parentPath.slice(SRC.length), name));
};

rmSync(DIST, { recursive: true, force: true });
compile();
copyData();
buildPage();
writeFileSync(join(DIST, "package.json"), `${JSON.stringify(SCOPE, null, 2)}\n`);
