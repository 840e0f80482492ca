#!/usr/bin/env node
// `ferry` itself: the bootstrap with the command line as its script.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

process.argv.splice(2, 0, join("src", "surface", "cli", "main.ts"));
await import(join(dirname(fileURLToPath(import.meta.url)), "bootstrap.mjs"));
