#!/usr/bin/env node
// Runs a script of a clone on any Node >= 20, before anything is installed: installs the packages, then hands over to the
// Node 24 that the lock file pins, which runs the TypeScript sources directly.
// Usage: node bin/bootstrap.mjs SCRIPT [ARG ...]
import { install } from "./install.mjs";
import { launch } from "./launch.mjs";

install();
const [script, ...args] = process.argv.slice(2);
launch(script, args);
