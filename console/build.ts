/**
 * `node console/build.ts`: builds the console's page into console/built, with the licences of what is in it and a stamp of what it
 * was made of. `npm pack` and the images run it; a clone runs it when the page is first asked for.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { stampOf } from "./stamp.ts";

const ROOM = fileURLToPath(new URL(".", import.meta.url));

await build({
  root: ROOM,
  base: "/console/",
  configFile: false,
  logLevel: "warn",
  oxc: { jsx: { runtime: "automatic" } },
  build: {
    outDir: "built",
    emptyOutDir: true,
    assetsDir: "",
    // Its policy allows nothing inline.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2023",
    license: { fileName: "licences.md" },
    rolldownOptions: {
      // Packages mark what runs in a browser; here all of it does.
      onLog: (_level, log, handle) => (log.code === "MODULE_LEVEL_DIRECTIVE" ? undefined : handle(_level, log)),
    },
  },
});
writeFileSync(join(ROOM, "built", "stamp"), stampOf(ROOM));
