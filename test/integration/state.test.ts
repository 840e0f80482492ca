import assert from "node:assert/strict";
import { test } from "node:test";
import { MongoClient } from "mongodb";
import { directConverged, endDirect, startDirect } from "../harness/directRun.ts";
import { ferry } from "../harness/ferry.ts";
import { sharedMongo } from "../harness/servers.ts";

const STATE_DB = "ferry_beside";

test("ferry's state may be named apart from the target, in its deployment and in no other; commands about it need nothing else", async () => {
  const [one, other] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  await using source = await new MongoClient(one.uri).connect();
  await using target = await new MongoClient(other.uri).connect();
  await source.db("beside").collection<{ _id: number }>("docs").insertOne({ _id: 1 });
  const direct = { source: one.uri, target: other.uri, include: ["beside.docs"] };

  const apart = await endDirect({ ...direct, args: ["--state", one.uri, "--state-db", STATE_DB] });
  assert.equal(apart.status, 64, apart.err);
  assert.match(apart.err, /FERRY_STATE_APART/);
  const names = await source.db().admin().listDatabases({ nameOnly: true });
  assert.ok(!names.databases.some(({ name }) => name === STATE_DB), "nothing is written where it is refused");

  // The same deployment by another URI, as another user would have it.
  const state = `${other.uri}${other.uri.includes("?") ? "&" : "/?"}appName=state`;
  const place = ["--state", state, "--state-db", STATE_DB];
  {
    await using run = await startDirect({ ...direct, args: place });
    await directConverged(source, target, "beside.docs");
    run.kill("SIGTERM");
    await run.exited;
  }
  const status = await ferry(["status", ...place, "--json"]);
  assert.equal(JSON.parse(status.out).own.mode, "direct", status.err);
  const without = await ferry(["dlq", "list", "--json"], { env: { FERRY_STATE: state, FERRY_STATE_DB: STATE_DB } });
  assert.deepEqual([without.status, JSON.parse(without.out)], [0, []], without.err);
});
