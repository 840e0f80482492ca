import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { nodeHttp, nodeHttps } from "#base/flow/nodeHttp.ts";

const SRC = fileURLToPath(new URL("../../../../src", import.meta.url));

/** Loaded only when something is to be served. */
const SERVERS = ["process/metrics/endpoint.ts", "surface/api/apiServer.ts"];

const isImport = (line: string): boolean => /^import (?!type )(?!\{ type [^,]* \}).*"node:https?"/.test(line);

test("only what serves imports node:http, which brings fetch and WebSocket along; all others ask for it when they need it", () => {
  const files = readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
  const importing = files.filter((file) => readFileSync(join(SRC, file), "utf8").split("\n").some(isImport));
  assert.deepEqual(importing.map((file) => file.replaceAll("\\", "/")).sort(), SERVERS);
  assert.equal(typeof nodeHttp().request, "function");
  assert.equal(typeof nodeHttps().request, "function");
});
