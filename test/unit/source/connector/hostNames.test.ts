import assert from "node:assert/strict";
import { test } from "node:test";
import { translateHosts } from "#source/connector/hostNames.ts";

test("container names become the local stack's addresses where they do not resolve", async () => {
  const names = { "mongo-source": "127.0.0.1:41001", "mongo-target": "127.0.0.1:41002" };
  const translate = async (uri: string, resolvable: readonly string[] = []) =>
    translateHosts({ "connection.uri": uri }, names, async (host) => resolvable.includes(host));
  const { config, changes } = await translate("mongodb://u:p@mongo-source:27017/?w=1");
  assert.equal(config["connection.uri"], "mongodb://u:p@127.0.0.1:41001/?w=1");
  assert.deepEqual(changes, [
    "mongo-source:27017 is 127.0.0.1:41001 on the local stack; connection.uri is posted with that address",
  ]);
  const inside = await translate("mongodb://mongo-source", ["mongo-source"]);
  assert.deepEqual(inside, { config: { "connection.uri": "mongodb://mongo-source" }, changes: [] });
  const foreign = await translate("mongodb://elsewhere");
  assert.deepEqual(foreign.changes, []);
});
