import assert from "node:assert/strict";
import { test } from "node:test";
import { hostsOf, uriOption, withHosts } from "#io/mongo/uriParts.ts";

test("hosts and options are found, whatever the credentials hold", () => {
  assert.deepEqual(hostsOf("mongodb://u:p%2F%40@a:1,[::1]:2/db?x=1"), ["a:1", "[::1]:2"]);
  assert.deepEqual(hostsOf("mongodb://a"), ["a"]);
  assert.deepEqual(hostsOf("nonsense"), []);
  assert.equal(uriOption("mongodb://a/?ReadPreference=secondary&w=1", "readPreference"), "secondary");
  assert.equal(uriOption("mongodb://a/db", "w"), undefined);
  assert.equal(
    withHosts("mongodb://u:p@a,b:2/db?x=1", (host) => `${host}.x`),
    "mongodb://u:p@a.x,b:2.x/db?x=1",
  );
});
