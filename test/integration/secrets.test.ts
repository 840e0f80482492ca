import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MongoClient } from "mongodb";
import { OPERATIONS, type OperationName } from "../../src/surface/api/contract/operations.ts";
import { ask, controlUrl, watched } from "../harness/control.ts";
import { type FerryRun, ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { mongo, sharedConnect, sharedKafka } from "../harness/servers.ts";
import { FerryProcess } from "../harness/worker.ts";

/** Each part of a password between two characters that a parser may end at is found by this. */
const PART = "Zq7";
const PASSWORDS = [
  `${PART}@${PART}:${PART}/${PART}%1`,
  `${PART}@127.0.0.1:1/${PART}?x=${PART}`,
  `${PART}#${PART}`,
  `[${PART}]`,
  `${PART} ${PART}`,
  `${PART}%zz`,
  `"${PART}'`,
];

const said = ({ out, err }: FerryRun): string => `${out}\n${err}`;

/** @throws with the place where a part of a password is seen */
const keepsSecret = (text: string, where: string): void => {
  const at = text.indexOf(PART);
  assert.equal(at, -1, `${where} shows ${JSON.stringify(text.slice(Math.max(0, at - 150), at + 150))}`);
};

/** Every command that takes an address, with all that it takes. */
const COMMANDS: readonly (readonly string[])[] = [
  ["run", "--include", "shop.*"],
  ["capture", "--include", "shop.*"],
  ["worker"],
  ["check", "--include", "shop"],
  ["check", "--include", "shop", "--json"],
  ["status"],
  ["status", "--json"],
  ["gen-data", "--count", "1"],
  ["pause"],
  ["resume"],
  ["finalize"],
  ["dlq", "list"],
  ["dlq", "replay", "--all", "--json"],
  ["drift"],
  ["conflicts"],
  ["structure", "plan", "--include", "shop"],
  ["structure", "status", "--json"],
];

type Try = readonly [what: string, args: readonly string[], env: Readonly<Record<string, string>>];

/** One password with some of the commands and forms; all passwords together try every one, and the first one every form. */
const triesOf = (folder: string, password: string, index: number): readonly Try[] => {
  const uri = `mongodb://ferry:${password}@127.0.0.1:1/?authSource=admin&tlsCertificateKeyFilePassword=${PART}`;
  const file = join(folder, `uri-${index}`);
  writeFileSync(file, `${uri}\n`);
  const connector = join(folder, `connector-${index}.json`);
  const config = { "connector.class": "MongoSourceConnector", "connection.uri": uri, database: "shop" };
  writeFileSync(connector, JSON.stringify(config));
  const others = { FERRY_KAFKA: "127.0.0.1:1", FERRY_CONNECT: `http://ferry:${password}@127.0.0.1:1` };
  const plain = { ...others, FERRY_SOURCE: uri, FERRY_TARGET: uri };
  const byFile = { ...others, FERRY_SOURCE_FILE: file, FERRY_TARGET_FILE: file };
  const mine = COMMANDS.filter((_, n) => n % PASSWORDS.length === index);
  const forms: readonly Try[] = [
    [`flags with ${password}`, ["finalize", "--source", uri, "--target", uri], others],
    [`file flags with ${password}`, ["run", "--source-file", file, "--target-file", file], {}],
    [`cx with ${password}`, ["cx", connector, "--connect", "http://127.0.0.1:1"], {}],
    [`kafka with ${password}`, ["kc", "x", "--kafka", `ferry:${password}@127.0.0.1:1`], {}],
    [`connect with ${password}`, ["del", "x"], others],
  ];
  const some = index === 0 ? forms : forms.filter((_, n) => n === index % forms.length);
  return [
    ...mine.map((args, n) => [`${args.join(" ")} with ${password}`, args, n % 2 === 0 ? plain : byFile] as const),
    ...some,
  ];
};

test("no form of an address shows a part of an odd password, whatever the command", async () => {
  using folder = tempFolder();
  // The last one is well-formed, so that `cx` and `del` would wait for a Connect that is not there.
  const waiting = PASSWORDS.flatMap((password, index) =>
    triesOf(folder.path, password, index).filter((one) => !/^(cx|connect) with "/.test(one[0])),
  );
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [what, args, env] = next;
      // A well-formed one: `run` waits for a server that is not there, and says so with the driver's text. That is checked, too.
      const ended = await ferry(args, { env, stopWhen: /waiting for the (?:source|target)/ });
      assert.notEqual(ended.status, 0, `${what} succeeded`);
      keepsSecret(said(ended), what);
      assert.doesNotMatch(said(ended), /FERRY_BUG/, what);
    }
  };
  await Promise.all([lane(), lane(), lane(), lane()]);
});

/** Everything that a database holds, as text. */
const stored = async (client: MongoClient, db: string): Promise<string> => {
  const collections = await client.db(db).collections();
  const all = await Promise.all(collections.map((collection) => collection.find().toArray()));
  return JSON.stringify(all);
};

/** Arguments of the children of a process, and of theirs. */
const argumentsBelow = (pid: number): string =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const [, parent] = /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${name}/status`, "utf8")) ?? [];
        const own = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ");
        return Number(parent) === pid || Number(name) === pid
          ? [own, ...(Number(parent) === pid ? [argumentsBelow(Number(name))] : [])]
          : [];
      } catch {
        return []; // it has ended since
      }
    })
    .join("\n");

/** What a run answers over HTTP, and the second process of a cutover that it begins. */
const askedOf = async (run: FerryProcess, token: string): Promise<void> => {
  const [, metrics = ""] = /(http:[^"\s]+\/metrics)/.exec(run.log()) ?? [];
  keepsSecret(await (await fetch(metrics)).text(), "/metrics");
  const url = controlUrl(run);
  for (const name of Object.keys(OPERATIONS) as OperationName[]) {
    const { method, path } = OPERATIONS[name];
    if (method === "GET" && !path.includes("{")) keepsSecret((await ask(url, name, { token })).text, name);
  }
  const body = { confirm: "ferry", maxLagMs: 60_000, maxPauseMs: 60_000, accept: ["FERRY_CUTOVER_UNVERIFIED"] };
  const begun = await ask(url, "startCutover", { token, body });
  assert.equal(begun.status, 202, begun.text);
  const { cutover } = await watched<{ cutover: { state: string } | null }>(
    url,
    token,
    (overview) => overview.cutover?.state === "fencing",
  );
  keepsSecret(begun.text + JSON.stringify(cutover), "the cutover");
  const processes = argumentsBelow(run.running?.pid ?? 0);
  assert.match(processes, /cutover .*--second-of 1/);
  keepsSecret(processes, "the second process of a cutover");
  keepsSecret((await ask(url, "abortCutover", { token, body: {} })).text, "the abort");
};

test("with a working odd password nothing of it is logged, printed, stored, or among the arguments of a process", async () => {
  using folder = tempFolder();
  const key = join(folder.path, "key");
  writeFileSync(key, randomBytes(48).toString("base64"), { mode: 0o400 });
  const args = ["--auth", "--keyFile", key];
  await using source = await mongo({ name: "source", args });
  await using target = await mongo({ name: "target", args });
  const [kafka, connect] = await Promise.all([sharedKafka(), sharedConnect()]);
  const password = PASSWORDS[0] as string;
  const encoded = encodeURIComponent(password);
  const open = async ({ uri }: { uri: string }): Promise<readonly [string, MongoClient]> => {
    const first = await MongoClient.connect(uri); // the localhost exception: one user may be made
    await first.db("admin").command({ createUser: "ferry", pwd: password, roles: ["root"] });
    await first.close();
    const withPassword = uri
      .replace("mongodb://", `mongodb://ferry:${encoded}@`)
      .replace(/\/\?/, "/?authSource=admin&");
    return [withPassword, await MongoClient.connect(withPassword)];
  };
  const [[from, one], [to, other]] = [await open(source), await open(target)];
  await using _one = one;
  await using _other = other;
  await one
    .db("shop")
    .collection("orders")
    .insertMany([{ _id: 1 as never }, { _id: 2 as never, unique: 1 }]);
  const file = join(folder.path, "source");
  writeFileSync(file, `${from}\n`, { mode: 0o600 });
  const env = {
    FERRY_SOURCE_FILE: file,
    FERRY_TARGET: to,
    FERRY_KAFKA: kafka.bootstrap,
    FERRY_CONNECT: connect.url,
  };
  const seen = async (...command: string[]): Promise<FerryRun> => {
    const ended = await ferry(command, { env });
    keepsSecret(said(ended), command.join(" "));
    assert.doesNotMatch(said(ended), new RegExp(encoded), command.join(" "));
    return ended;
  };

  const connector = join(folder.path, "shop.json");
  const config = { "connector.class": "com.mongodb.kafka.connect.MongoSourceConnector", "connection.uri": from };
  const more = { database: "shop", collection: "nothing", "startup.mode": "copy_existing", "tasks.max": "1" };
  writeFileSync(connector, JSON.stringify({ name: "secret", config: { ...config, ...more } }));
  assert.equal((await seen("cx", connector)).status, 0);
  const { out } = await seen("status", "--json");
  assert.match(out, /"name":"secret"/);
  await seen("status");
  await seen("check", "--include", "shop", "--json");
  await seen("del", "secret", "--forget");
  // A server that is not there, by a URI that Connect judges: its answer is shown.
  writeFileSync(
    connector,
    JSON.stringify({
      name: "away",
      config: { ...config, ...more, "connection.uri": from.replace(/@[^/]*/, "@no.such.invalid:1") },
    }),
  );
  const away = await seen("cx", connector, "--plain");
  assert.match(said(away), /no\.such\.invalid/, "the host that cannot be reached is named");

  await using run = new FerryProcess(
    "run",
    [
      ...["run", "--include", "shop.*", "--log-level", "debug", "--metrics", "127.0.0.1:0"],
      ...["--control", "127.0.0.1:0", "--fence", 'hook:[ "$FERRY_STEP" = lift ] || sleep 60'],
    ],
    env,
    "target is a ",
  );
  await run.start();
  await run.says(/stream/);
  keepsSecret(argumentsBelow(run.running?.pid ?? 0), "the processes of ferry run");
  await seen("status");
  await run.says("in control at");
  await askedOf(run, JSON.parse((await seen("token", "create", "--role", "cutover", "--json")).out).token);
  await run.stop();
  keepsSecret(run.log(), "the log");
  assert.ok(!run.log().includes(encoded), "nor percent-encoded");
  keepsSecret(await stored(other, "ferry"), "ferry's own database");
  assert.ok(!(await stored(other, "ferry")).includes(encoded));

  const warned = await ferry(["dlq", "list", "--target", to]);
  assert.match(
    warned.err,
    /^ferry: warning: --target can be read in the list of processes.*FERRY_TARGET.*--target-file/,
  );
  assert.equal(warned.err.trim().split("\n").length, 1, "one line");
  keepsSecret(said(warned), "the warning");
  const quiet = await ferry(["dlq", "list", "--json"], { env });
  assert.deepEqual([quiet.status, quiet.err], [0, ""]);
});

test("an address where no argument is expected is repeated without its password", async () => {
  for (const args of [
    ["run", "mongodb://u:s3cr3t@h"],
    ["mongodb://u:s3cr3t@h"],
    ["status", "--nope", "mongodb://u:s3cr3t@h/?x=s3cr3t"],
  ]) {
    const { status, out, err } = await ferry(args);
    assert.equal(status, 64, args.join(" "));
    assert.doesNotMatch(out + err, /s3cr3t/, args.join(" "));
  }
});
