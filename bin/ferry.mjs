#!/usr/bin/env node
// `ferry` itself: from the compiled files of the package, or from the sources of a clone, which has no need of a build.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { launch, root } from "./launch.mjs";

const MAIN = join("surface", "cli", "main");
const isPackage = !existsSync(join(root, "src"));

if (!isPackage) (await import("./install.mjs")).install();
launch(isPackage ? join("dist", `${MAIN}.js`) : join("src", `${MAIN}.ts`), process.argv.slice(2));
