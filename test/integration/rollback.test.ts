import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Binary, BSON, Timestamp } from "bson";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { moved, streaming } from "../harness/cutover.ts";
import { tempFolder } from "../harness/folders.ts";

test("behind a cutover the former source is kept in step, and services go back with nothing lost or doubled", async () => {
  await using both = await streaming("back");
  const users = both.here.db("back").collection<{ _id: string; n?: number }>("users");
  await users.insertMany([{ _id: "stays" }, { _id: "goes" }]);
  const run = await both.start();
  const services = both.services();
  services.start(8, 20);
  const args = ["--fence", "validator", "--accept", "FERRY_CUTOVER_UNVERIFIED", "--max-lag", "60s"];
  const early = await both.command("rollback", args);
  assert.match(early.err, /FERRY_ROLLBACK_NONE/);
  const there = await both.command("cutover", [...args, "--on-release", services.release]);
  assert.equal(there.status, 0, there.out + there.err + run.logTail(20));
  await moved(services);
  assert.equal((await run.exited).code, 0);
  const target = both.there.db("back").collection<{ _id: string; n?: number }>("users");
  await target.deleteOne({ _id: "goes" });
  await target.insertOne({ _id: "new", n: 1 });

  // Another attempt, which goes back, changes nothing of what was sent over; and what differs now is not ferry's to repair.
  const again = await both.command("cutover", [...args, "--on-release", services.release]);
  assert.match(again.err, /FERRY_RUN_FINALIZED/);
  const lifted = await both.command("cutover", ["--abort", "--fence", "validator"]);
  assert.match(lifted.err, /FERRY_CUTOVER_RELEASED/);
  const seen = await both.command("verify");
  assert.match(seen.err, /FERRY_VERIFY_SWITCHED: back\.users/);
  // A finding of before the cutover is none any more.
  const findings = both.there.db("ferry_back").collection("verificationFindings");
  const finding = { route: "back.users", key: new Binary(BSON.serialize({ _id: "new" })), kind: "extra" };
  await findings.insertOne({ ...finding, since: new Timestamp(1n), foundAt: new Date() });
  const repaired = await both.command("repair", ["--apply"]);
  assert.match(repaired.err, /FERRY_REPAIR_SWITCHED: services of back\.users were sent to the target/);
  assert.notEqual(await target.findOne({ _id: "new" }), null);

  const emptying = await both.command("run", ["--replace-target"]);
  assert.match(emptying.err, /FERRY_REPLACE_SWITCHED: services write to back\.users/, "what services wrote is theirs");
  assert.notEqual(await target.findOne({ _id: "new" }), null);

  const rules = join(tempFolder().path, "ferry.yaml");
  writeFileSync(rules, "routes:\n  - { from: back.users, where: { n: 1 } }\n");
  const impossible = await both.command("run", ["--reverse", "--config", rules]);
  assert.match(impossible.err, /FERRY_ROLLBACK_ROUTE: back\.users: `where`/);

  const reverse = await both.reverse();
  await waitFor(
    async () => {
      const ids = (await users.find({ _id: { $in: ["stays", "goes", "new"] } }).toArray()).map(({ _id }) => _id);
      return ids.includes("new") && !ids.includes("goes") ? { done: ids } : { seen: { ids, log: reverse.logTail(5) } };
    },
    { what: "the former source to follow", clock: systemClock, timeoutMs: 30_000, everyMs: 50 },
  );
  await assert.rejects(users.insertOne({ _id: "astray" }), { code: 121 });

  const ready = ["--fence", "validator", "--max-lag", "60s"];
  const unproven = await both.command("rollback", ["--ready", ...ready]);
  assert.match(
    unproven.out,
    /FERRY_CUTOVER_UNVERIFIED: `ferry verify --reverse` has not .*: back\.users/,
    unproven.err,
  );
  const proven = await both.command("verify", ["--reverse"]);
  assert.equal(proven.status, 0, proven.out + proven.err);
  await users.updateOne({ _id: "stays" }, { $set: { n: 7 } }, { bypassDocumentValidation: true });
  const wrong = await both.command("verify", ["--reverse"]);
  assert.match(wrong.err, /FERRY_VERIFY_WRONG/, wrong.out);
  const written = await both.command("repair", ["--reverse", "--apply"]);
  assert.equal(written.status, 0, written.out + written.err);
  assert.equal((await users.findOne({ _id: "stays" }))?.n, undefined);
  const failed = await both.command("rollback", [...ready, "--on-release", "exit 3"]);
  assert.match(failed.err, /FERRY_CUTOVER_HOOK: .*went back/);
  await assert.rejects(users.insertOne({ _id: "astray" }), { code: 121 }, "its fence is up again");
  await target.insertOne({ _id: "still there" });

  // Killed at the release, and who follows it cannot send services back either: it waits for the operator's word.
  const left = await both.command("rollback", [...args, "--on-release", "exit 3"], {
    FERRY_FAULT: "cutover-entered:7",
  });
  assert.match(left.err, /fault point/);
  const named =
    /FAIL {2}cutover .*the target refuses inserts and updates of back\.users, and rollback 2 \(validator\) left it behind: it is releasing\n *`ferry rollback --state-db ferry_back` tries the release again, `ferry rollback --state-db ferry_back --abort/;
  await waitFor(
    async () => {
      const { out } = await both.command("check", ["--include", "back.*"]);
      return named.test(out) ? { done: out } : { seen: out };
    },
    { what: "the check to name the fence", clock: systemClock, timeoutMs: 20_000, everyMs: 50 },
  );

  const { status, out, err } = await both.command("rollback", [...args, "--on-release", services.releaseBack]);
  assert.equal(status, 0, out + err + reverse.logTail(20));
  assert.match(out, /services write to the source[\s\S]*the pause was \d+ ms/);
  await moved(services, "source");
  assert.deepEqual(await services.settle("source"), { lost: 0, doubled: 0 });
  await assert.rejects(target.insertOne({ _id: "astray" }), { code: 121 }, "the target is fenced");
  assert.notEqual(await users.findOne({ _id: "still there" }), null);
  assert.equal((await reverse.exited).code, 0);
});
