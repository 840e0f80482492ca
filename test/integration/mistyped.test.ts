import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MongoClient } from "mongodb";
import { ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { sharedKafka, sharedMongo } from "../harness/servers.ts";
import { startWorker } from "../harness/worker.ts";

/** A target that a route `shop.orders` has run on, with the state in `ferry_ran`. */
const ranBefore = async (): Promise<string> => {
  const { uri } = await sharedMongo("target");
  await using client = await new MongoClient(uri).connect();
  const runs = client.db("ferry_ran").collection<{ _id: string }>("runs");
  if ((await runs.countDocuments()) === 0) await runs.insertOne({ _id: "shop.orders" });
  return uri;
};

test("names that mean nothing are refused, with the one that was meant", async () => {
  const target = ["--target", await ranBefore()];
  const ran = [...target, "--state-db", "ferry_ran"];
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [
      ["drift", "--route", "shop.order", ...ran],
      /no route shop\.order has run; there are shop\.orders; did you mean shop\.orders\?/,
    ],
    [["drift", "decide", "nope", "a", "pass", ...ran], /no route nope has run/],
    [["drift", "decide", "shop.orders", "a", "pass", "--type", "strng", ...ran], /--type strng is not a BSON type/],
    [["dlq", "list", "--route", "nope", ...ran], /no route nope has run; there are shop\.orders/],
    [["dlq", "replay", "--route", "nope", ...ran], /no route nope has run/],
    [["dlq", "discard", "--route", "nope", ...ran], /no route nope has run/],
    [["dlq", "export", "--route", "nope", ...ran], /no route nope has run/],
    [
      ["dlq", "list", "--reason", "FERRY_TARGET_DUPLICAT", ...ran],
      /--reason: FERRY_TARGET_DUPLICAT is not an error code/,
    ],
    [
      ["dlq", "replay", "--all", "--wait-seconds", "soon", ...ran],
      /--wait-seconds must be a whole number from 0 to \d+, not "soon"/,
    ],
    [["conflicts", "--route", "nope", ...ran], /no route nope has run/],
    ...["dlq list", "drift", "conflicts", "structure status", "pause", "resume", "status"].map(
      (command) =>
        [
          [...command.split(" "), ...target, "--state-db", "ferry_rann"],
          /no state of ferry in database ferry_rann \(--state-db\); it is in .*ferry_ran.*did you mean ferry_ran\?/,
        ] as const,
    ),
    [
      ["worker", "--accept", "FERRY_ROUTE_RULE"],
      /--accept: FERRY_ROUTE_RULE is not an error code; did you mean FERRY_ROUTE_RULES\?/,
    ],
    [["finalize", "--accept", "FERRY_NONSENSE"], /--accept: FERRY_NONSENSE is not an error code/],
    [["cutover", "--accept", "FERRY_NONSENSE"], /--accept: FERRY_NONSENSE is not an error code/],
    [["cutover", "--namespace", ""], /--namespace is empty/],
    [["worker", "--accept", "FERRY_NONSENSE"], /--accept: FERRY_NONSENSE is not an error code/],
    [["worker", "--topics", " , "], /--topics is empty/],
    [["run", "--include", "sh/op.orders"], /"sh\/op\.orders": no database's name has any of/],
    [["run", "--exclude", "shop old"], /"shop old": no database's name has any of/],
  ];
  const unreachable = [
    "--target",
    "mongodb://127.0.0.1:1",
    "--source",
    "mongodb://127.0.0.1:1",
    "--kafka",
    "127.0.0.1:1",
  ];
  await Promise.all(
    cases.map(async ([args, sentence]) => {
      const own = args[0] === "worker" ? [...args, ...unreachable] : args;
      const { status, out, err } = await ferry(own);
      assert.match(err, sentence, `${args.join(" ")}: ${out}`);
      assert.equal(status, 64, args.join(" "));
    }),
  );
  for (const command of [["dlq", "list"], ["drift"]])
    assert.equal((await ferry([...command, "--route", "shop.orders", ...ran])).status, 0);
});

test("a worker says which of its topics do not exist, and what was probably meant", async () => {
  const target = await ranBefore();
  const broker = await sharedKafka();
  await using worker = await startWorker({
    target,
    kafka: broker.bootstrap,
    args: ["--topics", "shop.order,other.*", "--state-db", "ferry_typo"],
  });
  await worker.says(/"topic":"shop\.order".*--topics names no existing topic; waiting for it/);
  await worker.says(/"topic":"other\.\*".*--topics names no existing topic/);
});

test("a configuration that is not UTF-8 is refused", async () => {
  using folder = tempFolder();
  const path = join(folder.path, "ferry.yaml");
  writeFileSync(path, Buffer.from("routes:\n  - { from: shop.caf\xe9 }\n", "latin1"));
  const { status, err } = await ferry(["config", "check", "--config", path]);
  assert.match(err, /it is not UTF-8 text; save it as UTF-8/);
  assert.equal(status, 64);
});

test("a route into ferry's own database halts, through ferry run and through a worker", async () => {
  const [source, target, kafka] = await Promise.all([sharedMongo("source"), sharedMongo("target"), sharedKafka()]);
  await using here = await new MongoClient(source.uri).connect();
  await here.db("own").collection("lanes").insertOne({});
  const config = join(tempFolder().path, "ferry.yaml");
  writeFileSync(config, "routes: [{ from: own.lanes, to: ferry_own.lanes }]\n");
  const sides = ["--source", source.uri, "--target", target.uri, "--state-db", "ferry_own", "--config", config];
  const reason = /FERRY_STRUCTURE_REFUSED.*ferry_own is ferry's own database/;
  for (const more of [[], ["--no-structure"]]) {
    const run = await ferry(["run", ...sides, ...more]);
    assert.match(run.err, reason);
    assert.equal(run.status, 76);
  }
  const captured = [
    "--source",
    source.uri,
    "--target",
    target.uri,
    "--kafka",
    kafka.bootstrap,
    "--state-db",
    "ferry_own",
  ];
  const stopWhen = /copy finished/;
  await ferry(["capture", ...captured, "--include", "own.*"], { stopWhen });
  const worker = await ferry(["worker", ...sides, "--kafka", kafka.bootstrap], { stopWhen: reason });
  assert.match(worker.err, reason);
  await using there = await new MongoClient(target.uri).connect();
  assert.equal(
    await there
      .db("ferry_own")
      .collection<{ _id: string }>("lanes")
      .countDocuments({ _id: { $not: /^own/ } }),
    0,
  );
});

test("a folder for the spool that cannot be made is refused at the start, not when the target falls behind", async () => {
  const sides = ["--source", "mongodb://127.0.0.1:1", "--target", "mongodb://127.0.0.1:2"];
  const { status, err } = await ferry(["run", ...sides, "--spool-dir", "/proc/ferry/spool"]);
  assert.match(err, /FERRY_FILE: --spool-dir \/proc\/ferry\/spool: there is no such file/);
  assert.equal(status, 74);
});
