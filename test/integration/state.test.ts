import assert from "node:assert/strict";
import { test } from "node:test";
import { MongoClient } from "mongodb";
import { directConverged, endDirect, startDirect } from "../harness/directRun.ts";
import { ferry } from "../harness/ferry.ts";
import { sharedMongo } from "../harness/servers.ts";

const STATE_DB = "ferry_beside";

test("ferry's state may be named apart from the target; commands about it need nothing else", async () => {
  const [one, other] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  await using source = await new MongoClient(one.uri).connect();
  await using target = await new MongoClient(other.uri).connect();
  await source.db("beside").collection<{ _id: number }>("docs").insertOne({ _id: 1 });
  const direct = { source: one.uri, target: other.uri, include: ["beside.docs"] };

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

test("with state on another deployment a run is killed in a batch, goes on, and loses nothing", async () => {
  const [one, other] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  await using source = await new MongoClient(one.uri).connect();
  await using target = await new MongoClient(other.uri).connect();
  const docs = source.db("elsewhere").collection<{ _id: number; n?: number }>("docs");
  await docs.insertMany(Array.from({ length: 500 }, (_, _id) => ({ _id })));
  // Any other deployment will do: here it is the source's, which carries its own database nowhere.
  const args = ["--state", one.uri, "--state-db", "ferry_elsewhere"];
  const direct = { source: one.uri, target: other.uri, include: ["elsewhere.docs"], args };
  const refused = await endDirect({ ...direct, args: [...args, "--conflict", "keep-target"] });
  assert.equal(refused.status, 64);
  assert.match(refused.err, /FERRY_TARGET_POLICY.*--conflict keep-target .*no part in the transactions.*no --state/);
  assert.deepEqual(await source.db("ferry_elsewhere").listCollections().toArray(), [], "nothing was written");
  {
    await using killed = await startDirect({ ...direct, env: { FERRY_FAULT: "before-commit:2" } }, "at-least-once");
    await killed.exited;
  }
  await docs.updateMany({ _id: { $lt: 100 } }, { $set: { n: 1 } });
  await docs.deleteMany({ _id: { $gte: 400 } });
  await using run = await startDirect(direct, "at-least-once");
  await directConverged(source, target, "elsewhere.docs");
  assert.equal(
    (await source.db("ferry_elsewhere").collection("lanes").countDocuments({ route: "elsewhere.docs" })) > 0,
    true,
  );
  assert.deepEqual(await target.db("ferry_elsewhere").listCollections().toArray(), []);
  run.kill("SIGTERM");
  await run.exited;
});
