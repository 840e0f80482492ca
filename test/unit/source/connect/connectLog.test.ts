import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readConnectLog } from "#source/connect/connectLog.ts";
import { tempFolder } from "../../../harness/folders.ts";

test("the log's telling lines are found, in both layouts, for this connector and since its start only", () => {
  using folder = tempFolder();
  const file = join(folder.path, "connect.log");
  const lines = [
    "2026-11-23T02:00:00,000 INFO New change stream cursor created without offset. (MongoSourceTask)",
    "[2026-11-23 03:00:01,000] INFO [other|task-0] New change stream cursor created without offset. (x)",
    "[2026-11-23 03:00:02,000] WARN [mine|task-0] No topic set. Could not publish the message: {} (x)",
    "2026-11-23T03:00:30,500 INFO Unable to recreate the cursor (MongoSourceTask)",
  ];
  writeFileSync(file, lines.join("\n"));
  const since = new Date("2026-11-23T03:00:00").getTime();
  const soon = new Date("2026-11-23T03:00:31").getTime();
  const found = readConnectLog(file, "mine", since, soon);
  assert.deepEqual(Object.keys(found).sort(), ["noCursor", "unpublished"]);
  assert.deepEqual(
    Object.keys(readConnectLog(file, "mine", since, soon + 60_000)),
    ["unpublished"],
    "it has a cursor again",
  );
  assert.deepEqual(Object.keys(readConnectLog(file, "other", since, soon)).sort(), ["noCursor", "reopened"]);
  assert.deepEqual(readConnectLog(join(folder.path, "none.log"), "mine", 0, soon), {});
});
