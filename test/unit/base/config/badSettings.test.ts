import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseConfig } from "#base/config/configFile.ts";
import { resolveSettings, type SettingFlags } from "#base/config/settings.ts";
import { tempFolder } from "../../../harness/folders.ts";
import { refusesEach } from "../../../harness/mistakes.ts";

test("what is wrong in the configuration, a file or the environment is one sentence that names it", () => {
  using folder = tempFolder();
  const file = (name: string, text: string): string => {
    const path = join(folder.path, name);
    writeFileSync(path, text);
    return path;
  };
  const settings = (flags: SettingFlags, env: NodeJS.ProcessEnv = {}) => {
    return () => resolveSettings(flags, ["source"], { FERRY_HOME: folder.path, ...env });
  };
  const routes = (name: string, mask: string) => () =>
    parseConfig(`routes: [{ from: a.b, to: { mongodb: a.c }, fields: { mask: { x: { ${mask} } } } }]`, name);
  const plain = file("plain", "x");
  refusesEach([
    ["an empty variable", settings({}, { FERRY_SOURCE: "" }), /FERRY_SOURCE is empty/],
    ["no file", settings({ sourceFile: "/nowhere" }), /--source-file \/nowhere: there is no such file/],
    ["a folder as file", settings({ sourceFile: folder.path }), /--source-file .*: it is a folder/],
    ["an empty file", settings({ sourceFile: file("empty", "\n") }), /--source-file .*: it is empty/],
    ["several lines", settings({ sourceFile: file("two", "a\nb\n") }), /--source-file .*: it has more than one line/],
    ["both forms", settings({ source: "mongodb://a", sourceFile: plain }), /--source and --source-file are both given/],
    ["kafka port", settings({ source: "x", kafka: "127.0.0.1:port" }), /kafka is invalid: .*host:port/],
    ["kafka URL", settings({ source: "x", kafka: "http://127.0.0.1:1" }), /kafka is invalid/],
    ["state-db", settings({ source: "x", stateDb: "a.b" }), /stateDb is invalid/],
    ["state-db of the server", settings({ source: "x", stateDb: "admin" }), /stateDb is invalid/],
    ["metrics without a port", settings({ source: "x", metrics: "127.0.0.1" }), /metrics is invalid: .*HOST:PORT/],
    [
      "keepLast -1",
      routes("negative.yaml", "keepLast: -1"),
      /routes\[0\].fields.mask.x.keepLast must be >= 0/,
      "FERRY_CONFIG",
    ],
    [
      "no key of any mask",
      routes("unknown.yaml", "keepLst: 1"),
      /unknown key "keepLst"; did you mean "keepLast"/,
      "FERRY_CONFIG",
    ],
  ]);
});
