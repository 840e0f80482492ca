import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { request } from "node:https";
import { test } from "node:test";
import { promisify } from "node:util";
import { Binary, Long, Timestamp } from "bson";
import fc from "fast-check";
import { type Document, MongoClient } from "mongodb";
import { Value } from "typebox/value";
import { ConflictStore } from "#apply/conflict/conflictStore.ts";
import { identityBinary } from "#apply/deadletter/letterRecords.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { ROLES, type Role, TokenStore } from "#process/control/tokenStore.ts";
import { CONSOLE_POLICY } from "#surface/console/consoleFiles.ts";
import type { Operation } from "../../src/surface/api/contract/operation.ts";
import { OPERATIONS, type OperationName } from "../../src/surface/api/contract/operations.ts";
import { PROBLEM } from "../../src/surface/api/contract/shapes.ts";
import { bothSides } from "../harness/bothSides.ts";
import { authority } from "../harness/certificates.ts";
import { type RawRequest, requestsOf, STRAY_REQUESTS, sendRaw } from "../harness/contractRequests.ts";
import { ask, controlUrl, type Question, startControl, watched } from "../harness/control.ts";
import { directConverged, endDirect, startDirect } from "../harness/directRun.ts";
import { ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { testSeed } from "../harness/load.ts";

const NAMES = Object.keys(OPERATIONS) as OperationName[];
const AUTHOR = { via: "cli", who: "a test" } as const;
/** In a document, and in a password. */
const [IN_DOCUMENT, IN_PASSWORD] = ["Zq7inDocument", "Zq7inPassword"];
const [ROUTE, OTHER] = ["steered.users", "steered.orders"];
/** Holds a cutover while services wait, until it is told to lift its fence: requests cannot give a command, flags can. */
const HOLDS = 'hook:[ "$FERRY_STEP" = lift ] || sleep 60';

const bsonOf = async (doc: Document): Promise<Binary> => new Binary((await import("bson")).serialize(doc));

/** A run with a dead letter, drift and a conflict, whose documents hold the secret; and what steers it. */
const open = async () => {
  const both = await bothSides();
  const stateDb = "ferry_steered";
  const state = new StateDb(both.there, stateDb);
  const users = both.here.db("steered").collection<Document>("users");
  await users.insertMany(Array.from({ length: 200 }, (_, n) => ({ _id: n as never, n })));
  await both.here.db("steered").collection("orders").insertOne({ n: 1 });
  const unique = { unique: true, partialFilterExpression: { only: { $exists: true } } };
  await both.there.db("steered").collection("users").createIndex({ only: 1 }, unique);
  const run = both.stack.use(
    await startDirect({
      source: both.source.uri,
      target: both.target.uri,
      include: [ROUTE, OTHER],
      args: ["--state-db", stateDb, "--no-structure"],
    }),
  );
  await run.says("copy finished");
  await users.insertOne({ _id: "first" as never, only: IN_DOCUMENT });
  await directConverged(both.here, both.there, ROUTE);
  await users.insertOne({ _id: `second ${IN_DOCUMENT}` as never, only: IN_DOCUMENT });
  await users.insertOne({ _id: IN_DOCUMENT as never, sex: IN_DOCUMENT });
  await run.says("dead letter");
  const doc = await bsonOf({ _id: IN_DOCUMENT, version: IN_DOCUMENT });
  await new ConflictStore(state).add(
    [
      {
        ...{ _id: `${ROUTE}/0/1`, route: ROUTE, partition: 0, offset: Long.fromNumber(1), ns: ROUTE },
        ...{ key: identityBinary("k"), documentKey: await bsonOf({ _id: IN_DOCUMENT }), policy: "mirror" },
        ...{
          winner: "source",
          why: "both wrote",
          fields: [],
          source: doc,
          target: doc,
          sourceBytes: 1,
          targetBytes: 1,
        },
        ...{ at: new Timestamp(0n), storedAt: new Date() },
      },
    ],
    undefined,
  );
  const control = both.stack.use(
    await startControl(
      [
        ...["--source", both.source.uri, "--target", both.target.uri, "--state-db", stateDb],
        ...["--listen", "127.0.0.1:0", "--fence", HOLDS],
      ],
      { env: { FERRY_CONNECT: `http://ferry:${IN_PASSWORD}@127.0.0.1:1` } },
    ),
  );
  const tokens = new TokenStore(state);
  const made = await Promise.all(
    ROLES.map(async (role) => [role, await tokens.create({ role, name: null, expiresAt: null }, AUTHOR)] as const),
  );
  const tokenOf = new Map(made.map(([role, { token }]) => [role, token]));
  return {
    both,
    state,
    stateDb,
    control,
    tokens,
    run,
    url: controlUrl(control),
    secrets: made.map(([, { token }]) => token),
    as: (role: Role, name: OperationName, question: Question = {}) =>
      ask(controlUrl(control), name, { ...question, token: tokenOf.get(role) }),
    cli: (...args: string[]) => ferry([...args, "--target", both.target.uri, "--state-db", stateDb, "--json"]),
    tokenOf: (role: Role) => tokenOf.get(role) ?? "",
    [Symbol.asyncDispose]: () => both[Symbol.asyncDispose](),
  };
};

type Opened = Awaited<ReturnType<typeof open>>;

/** What makes each operation answer with something. */
const questions = async ({ state }: Opened): Promise<Partial<Record<OperationName, Question>>> => {
  const letter = await state.collection<{ _id: string }>("deadLetters").findOne();
  return {
    listDrift: { query: { all: "true" } },
    getConflict: { params: { id: `${ROUTE}/0/1` } },
    getLetter: { params: { id: letter?._id ?? "" } },
    previewRoute: { body: { route: ROUTE, deny: ["n"] } },
    listFindings: { query: { route: ROUTE } },
    compareDocument: { query: { route: ROUTE, key: JSON.stringify(IN_DOCUMENT) } },
    decideDrift: { body: { route: ROUTE, path: "sex", verdict: "pass" } },
    decideLetters: { body: { verdict: "discard", ids: ["nothing/0/1"] } },
    throttleRun: { body: {} },
    pauseConnector: { params: { name: "none" } },
    rehearseCutover: { body: {} },
    startCutover: { body: { confirm: "another" } },
    abortCutover: { body: { fence: "validator" } },
    rehearseRollback: { body: {} },
    startRollback: { body: { confirm: "another" } },
    abortRollback: { body: { fence: "validator" } },
    finalizeRun: { body: { confirm: "another" } },
  };
};

/** Statuses of what cannot succeed here: no such letter, no Connect, a letter that waits, nothing fenced, nothing to go back from. */
const REFUSED: Partial<Record<OperationName, number>> = {
  rehearseCutover: 409,
  startCutover: 400,
  abortCutover: 409,
  getRollbackReadiness: 409,
  rehearseRollback: 409,
  startRollback: 400,
  abortRollback: 409,
  finalizeRun: 400,
  decideLetters: 400,
  pauseConnector: 503,
  resumeConnector: 503,
};

/** They wait for a Connect that is not there: one role is enough. */
const isSlow = (name: OperationName): boolean => name === "pauseConnector" || name === "resumeConnector";

const may = (role: Role, { access }: Operation): boolean =>
  access === "anyone" || ROLES.indexOf(role) >= ROLES.indexOf(access);

const checkAnswer = async (
  { as, secrets }: Opened,
  [role, name]: readonly [Role, OperationName],
  question: Question | undefined,
): Promise<void> => {
  const operation: Operation = OPERATIONS[name];
  const { status, text, headers } = await as(role, name, question);
  const isLate = operation.status === 202 && status === 202; // on a busy machine it is told with the job
  if (!(isLate && may(role, operation)))
    assert.equal(status, may(role, operation) ? (REFUSED[name] ?? 200) : 403, `${role} ${name}: ${text}`);
  assert.match(headers.get("content-security-policy") ?? "", /default-src 'none'/);
  if (status < 300 && text !== "") assert.ok(Value.Check(operation.answer, JSON.parse(text)), `${name}: ${text}`);
  if (role === "viewer") assert.ok(!text.includes(IN_DOCUMENT), `viewer ${name}: ${text}`);
  for (const secret of [IN_PASSWORD, ...secrets]) assert.ok(!text.includes(secret), `${role} ${name}: ${text}`);
};

const rolesAndSecrets = async (opened: Opened): Promise<void> => {
  const { as, url } = opened;
  const page = await fetch(url);
  assert.deepEqual([page.status, page.headers.get("content-security-policy")], [200, CONSOLE_POLICY]);
  const [, script = ""] = /<script[^>]* src="([^"]+)"/.exec(await page.text()) ?? [];
  const loaded = await fetch(`${url}${script}`);
  assert.deepEqual([loaded.status, loaded.headers.get("content-type")], [200, "text/javascript; charset=utf-8"]);
  assert.equal((await fetch(`${url}/console/nothing.js`)).status, 404);
  const asked = await questions(opened);
  for (const name of NAMES) {
    const anonymous = await ask(url, name, asked[name]);
    assert.equal(anonymous.status, OPERATIONS[name].access === "anyone" ? 200 : 401, name);
    const roles = ROLES.filter((role) => !(role === "cutover" && isSlow(name)));
    for (const role of roles) await checkAnswer(opened, [role, name], asked[name]);
  }
  for (const name of [
    "listLetters",
    "getLetter",
    "listConflicts",
    "getConflict",
    "listDrift",
    "compareDocument",
  ] as const)
    assert.match((await as("operator", name, asked[name])).text, new RegExp(IN_DOCUMENT), name);
};

const answersAgree = async ({ as, cli, both }: Opened): Promise<void> => {
  const parsed = async (name: OperationName, question?: Question) =>
    JSON.parse((await as("operator", name, question)).text);
  const status = JSON.parse((await cli("status")).out);
  const { lanes } = status;
  assert.deepEqual(
    (await parsed("listLanes")).map(({ route, counts }: Document) => [route, counts]),
    lanes.map(({ route, counts }: Document) => [route, counts]),
  );
  const overview = await parsed("getOverview");
  assert.deepEqual([overview.letters, overview.lanes.count], [status.letters, lanes.length]);
  assert.match(overview.summary, /1 dead letter; needs action: decide on the dead letters/);
  assert.deepEqual(await parsed("listDrift"), JSON.parse((await cli("drift")).out));
  // It is tried again meanwhile.
  const letters = (found: Document[]) => found.map(({ attempts: _attempts, ...letter }) => letter);
  assert.deepEqual(letters((await parsed("listLetters")).letters), letters(JSON.parse((await cli("dlq", "list")).out)));
  const conflicts = JSON.parse((await cli("conflicts")).out) as Document[];
  assert.deepEqual(
    (await parsed("listConflicts")).conflicts,
    conflicts.map(({ source: _source, target: _target, ...head }) => head),
  );
  assert.deepEqual(await parsed("getConflict", { params: { id: `${ROUTE}/0/1` } }), conflicts[0]);
  const ready = await cli("cutover", "--ready", "--source", both.source.uri);
  assert.deepEqual(await parsed("getReadiness"), JSON.parse(ready.out));
};

const steering = async ({ as, cli, tokenOf, url, state, run }: Opened): Promise<void> => {
  const limits = { maxSourceLoadMs: 0, documentsPerSecond: 7 };
  const throttled = await as("operator", "throttleRun", { body: limits });
  assert.deepEqual(JSON.parse(throttled.text).limits, limits);
  await run.says("at most 7 documents a second");
  assert.equal((await cli("throttle")).out.trim(), '{"maxSourceLoadMs":null,"documentsPerSecond":null}');
  const watching = watched<Document>(url, tokenOf("viewer"), ({ capture }) => capture?.state === "paused");
  for (const _ of [1, 2]) {
    const paused = await as("operator", "pauseRun");
    assert.deepEqual([paused.status, JSON.parse(paused.text).state], [200, "paused"]);
  }
  assert.equal((await watching)["capture"].state, "paused");
  const resumed = await as("operator", "resumeRun");
  assert.equal(JSON.parse(resumed.text).state, "running");

  const filter = { verdict: "discard" };
  assert.equal((await as("operator", "decideLetters", { body: filter })).status, 400, "a forgotten filter is not all");
  const [letter] = JSON.parse((await as("operator", "listLetters")).text).letters;
  const noted = await as("operator", "decideLetters", { body: { ...filter, ids: [letter.id] } });
  assert.equal(JSON.parse(noted.text).noted, 1);
  await waitFor(
    async () => {
      const { total } = JSON.parse((await as("operator", "listLetters")).text);
      return total === 0 ? { done: undefined } : { seen: total };
    },
    { what: "the letter to be discarded", clock: systemClock, timeoutMs: 20_000 },
  );
  assert.equal((await cli("drift", "decide", ROUTE, "sex", "drop")).status, 0);
  const audit = JSON.parse((await as("operator", "listAudit")).text) as Document[];
  assert.deepEqual(audit, JSON.parse((await cli("audit")).out));
  const [last, ...before] = audit.filter(({ action }) => !/^(?:token|cutover|rollback)/.test(action));
  assert.deepEqual(
    [last?.["via"], last?.["action"], last?.["on"], last?.["before"], last?.["after"]],
    ["cli", "drift.decide", `${ROUTE} sex`, "pass", "drop"],
  );
  assert.deepEqual(
    before.slice(0, 6).map(({ via, action, after }) => [via, action, after]),
    [
      ["api", "letters.decide", "discard"],
      ["api", "resume", "running"],
      ["api", "pause", "paused"],
      ["api", "pause", "paused"],
      ["cli", "throttle", {}],
      ["api", "throttle", limits],
    ],
  );
  assert.ok(!JSON.stringify(await state.collection("audit").find().toArray()).includes(IN_DOCUMENT));
};

const refusals = async ({ as, url, tokens, cli }: Opened): Promise<void> => {
  const usage = async (name: OperationName, question: Question) => {
    const { status, text } = await as("operator", name, question);
    return [status, JSON.parse(text).code];
  };
  assert.deepEqual(await usage("listLetters", { query: { limit: "0" } }), [400, "FERRY_USAGE"]);
  assert.deepEqual(await usage("listLetters", { query: { rout: "x" } }), [400, "FERRY_USAGE"]);
  assert.deepEqual(await usage("listLetters", { query: { key: "abc" } }), [400, "FERRY_USAGE"]);
  // Of `_id`: every later document would be held.
  for (const body of [
    { route: ROUTE, path: "none", verdict: "pass" },
    { route: ROUTE, path: "_id", verdict: "drop" },
  ])
    assert.deepEqual(await usage("decideDrift", { body }), [400, "FERRY_USAGE"]);
  assert.deepEqual(await usage("getLetter", { params: { id: "x/0/1" } }), [404, "FERRY_API_UNKNOWN"]);
  assert.equal((await fetch(`${url}/api/v1/nothing`)).status, 404);

  const short = JSON.parse((await cli("token", "create", "--role", "viewer", "--expires", "1500ms")).out);
  const revoked = JSON.parse((await cli("token", "create", "--role", "operator", "--name", "gone soon")).out);
  const status = async (token: string) => (await ask(url, "getToken", { token })).status;
  assert.equal(await status(revoked.token), 200);
  assert.equal((await cli("token", "revoke", revoked.id)).status, 0);
  for (const token of [short.token, revoked.token])
    await waitFor(async () => ((await status(token)) === 401 ? { done: undefined } : { seen: "valid" }), {
      ...{ what: "the token to be refused", clock: systemClock, timeoutMs: 10_000, everyMs: 300 },
    });
  const listed = await tokens.list();
  assert.deepEqual(
    listed.slice(-2).map(({ state, name }) => [state, name]),
    [
      ["expired", null],
      ["revoked", "gone soon"],
    ],
  );
  const known = await as("viewer", "getToken");
  const guesses = await Promise.all(Array.from({ length: 30 }, (_, n) => status(`ferry_${n}`)));
  assert.ok(guesses.filter((one) => one === 401).length <= 10, guesses.join());
  assert.ok(guesses.includes(429));
  const limited = await ask(url, "getToken", { token: "ferry_more" });
  assert.ok(Number(limited.headers.get("retry-after")) > 0);
  assert.deepEqual(
    [known.status, (await as("viewer", "getToken")).status],
    [200, 200],
    "a known token is not locked out",
  );
};

/** They wait for a run to rest, for a Connect that is not there, or without end: that a request is hostile changes nothing of it. */
const UNHURRIED: readonly OperationName[] = [
  "pauseRun",
  "resumeRun",
  "pauseConnector",
  "resumeConnector",
  "watchOverview",
];

const hostile = async ({ url, tokenOf }: Opened): Promise<void> => {
  const authorization = `Bearer ${tokenOf("cutover")}`;
  const send = async (asked: RawRequest): Promise<void> => {
    const [status, text] = await sendRaw(url, { ...asked, headers: { ...asked.headers, authorization } });
    assert.ok(status >= 200 && status < 500, `${status} to ${JSON.stringify(asked).slice(0, 2000)}: ${text}`);
    if (status >= 400 && text !== "") assert.ok(Value.Check(PROBLEM, JSON.parse(text)), text);
  };
  for (const asked of STRAY_REQUESTS) await send(asked);
  const quick = NAMES.filter((name) => !UNHURRIED.includes(name));
  const requests = fc.oneof(...quick.map((name) => requestsOf(OPERATIONS[name])));
  await fc.assert(fc.asyncProperty(requests, send), { numRuns: 500, seed: testSeed() });
};

/** Where there is one: `SCHEMATHESIS=/path/to/schemathesis npm test -- test/integration/control.test.ts`. */
const SCHEMATHESIS = process.env["SCHEMATHESIS"];

const fuzzed = async ({ url, tokenOf }: Opened): Promise<void> => {
  const left = UNHURRIED.flatMap((name) => ["--exclude-operation-id", name]);
  const args = [
    ...["run", `${url}/api/v1/openapi.json`, "--header", `Authorization: Bearer ${tokenOf("cutover")}`, "--no-color"],
    ...["--checks", "not_a_server_error", "--max-time", "60", "--request-timeout", "20", ...left],
  ];
  const found = promisify(execFile)(SCHEMATHESIS ?? "", args, { maxBuffer: 64 * 1024 * 1024 });
  await found.catch(({ stdout }: { stdout: string }) => assert.fail(stdout.slice(-5000)));
};

const SWITCH = { namespaces: [ROUTE], confirm: ROUTE, maxPauseMs: 20_000, maxLagMs: 60_000 };
const ACCEPTED = { accept: ["FERRY_CUTOVER_UNVERIFIED"] };

/** The newest cutover as the API tells it, once it is in this state. */
const inState = ({ as }: Opened, wanted: string): Promise<Document> =>
  waitFor(
    async () => {
      const { cutover } = JSON.parse((await as("viewer", "getCutover")).text) as { cutover: Document | null };
      return cutover?.["state"] === wanted ? { done: cutover } : { seen: cutover };
    },
    { what: `the cutover to be ${wanted}`, clock: systemClock, timeoutMs: 30_000 },
  );

const switching = async (opened: Opened): Promise<void> => {
  const { as, cli, both } = opened;
  const asked = async (name: OperationName, body: object): Promise<Document> => {
    const { status, text } = await as("cutover", name, { body });
    return { status, ...JSON.parse(text) };
  };
  assert.equal((await as("operator", "startCutover", { body: SWITCH })).status, 403);
  const unproven = await asked("startCutover", { ...SWITCH, fence: "validator" });
  assert.deepEqual([unproven["status"], unproven["code"]], [409, "FERRY_CUTOVER_UNVERIFIED"]);
  const rehearsed = await asked("rehearseCutover", { namespaces: [ROUTE], maxLagMs: 60_000, ...ACCEPTED });
  assert.equal(rehearsed["status"], 202, JSON.stringify(rehearsed));
  await waitFor(
    async () => {
      const { rehearsal, job } = JSON.parse((await as("viewer", "getCutover")).text);
      return rehearsal?.pauseMs > 0 && job.endedAt !== null ? { done: 1 } : { seen: job };
    },
    { what: "the rehearsal", clock: systemClock, timeoutMs: 20_000 },
  );

  // The fence is a command of the process's own flags; while it holds services, the cutover is taken back.
  const held = await asked("startCutover", { ...SWITCH, ...ACCEPTED });
  assert.deepEqual([held["status"], held["job"].endedAt], [202, null], JSON.stringify(held));
  await inState(opened, "fencing");
  const again = await asked("startCutover", { ...SWITCH, ...ACCEPTED });
  assert.equal(again["cutover"].cutover, held["cutover"].cutover, "the same cutover");
  assert.equal((await asked("finalizeRun", { confirm: "ferry_steered" }))["code"], "FERRY_CUTOVER_ALIVE");
  const back = await asked("abortCutover", {});
  assert.equal(back["cutover"].state, "aborted");
  assert.match(back["cutover"].refused.detail, /was killed: taken back by token/);

  const chosen = { ...SWITCH, ...ACCEPTED, fence: "validator" };
  const begun = await asked("startCutover", chosen);
  assert.equal(begun["status"], 202, JSON.stringify(begun));
  const over = await inState(opened, "over");
  assert.deepEqual([over["namespaces"], over["pause"].ms > 0], [[ROUTE], true]);
  assert.deepEqual((await asked("startCutover", chosen))["cutover"], over, "asked again, it is the same one");
  assert.equal((await asked("abortCutover", {}))["code"], "FERRY_CUTOVER_RELEASED");
  const users = both.here.db("steered").collection<{ _id: string }>("users");
  await assert.rejects(users.insertOne({ _id: "late" }), { code: 121 });
  const audit = JSON.parse((await cli("audit")).out) as Document[];
  const actions = audit.filter(({ via, on }) => via === "api" && on === ROUTE).map(({ action }) => action);
  const inOrder = ["cutover", "cutover.rehearse", "cutover", "cutover.abort", "cutover"];
  assert.deepEqual(actions.slice(0, inOrder.length).reverse(), inOrder);
};

const killed = async (opened: Opened): Promise<void> => {
  const { control, state, both, cli, as } = opened;
  // While services wait: its second process lifts the fence.
  const other = { ...SWITCH, ...ACCEPTED, namespaces: [OTHER], confirm: OTHER, maxPauseMs: 5000 };
  await as("cutover", "startCutover", { body: other });
  const { cutover } = await inState(opened, "fencing");
  control.kill("SIGKILL");
  await control.exited;
  await waitFor(
    async () => {
      const record = await state.collection<{ _id: number; state: string }>("cutovers").findOne({ _id: cutover });
      return record?.state === "aborted" ? { done: 1 } : { seen: record };
    },
    { what: "the second process to take it back", clock: systemClock, timeoutMs: 40_000 },
  );
  await both.here
    .db("steered")
    .collection("orders")
    .insertOne({ _id: "after" as never });
  const there = both.there.db("steered").collection("orders");
  const look = async () =>
    (await there.findOne({ _id: "after" as never })) === null
      ? { seen: await state.collection("deadLetters").find().toArray() }
      : { done: 1 };
  await waitFor(look, { what: "the run to go on", clock: systemClock, timeoutMs: 20_000 });
  assert.equal((await cli("pause")).status, 0);
  assert.equal((await cli("resume")).status, 0);
};

const beside = async ({ both, run, tokenOf, stateDb }: Opened): Promise<void> => {
  run.kill("SIGTERM");
  await run.exited;
  const options = { source: both.source.uri, target: both.target.uri, include: [ROUTE, OTHER] };
  const args = ["--state-db", stateDb, "--no-structure", "--control"];
  const taken = await endDirect({ ...options, args: [...args, new URL(both.source.uri).host] });
  assert.deepEqual([taken.status, /FERRY_CONTROL_ADDRESS/.test(taken.err)], [69, true], taken.err);
  const resumed = both.stack.use(await startDirect({ ...options, args: [...args, "127.0.0.1:0"] }, "in control at"));
  const url = controlUrl(resumed);
  const ending = { confirm: stateDb, allowWrites: true };
  const watching = watched<Document>(url, tokenOf("viewer"), ({ job }) => job?.endedAt != null);
  const asked = await ask(url, "finalizeRun", { token: tokenOf("cutover"), body: ending });
  assert.equal(asked.status, 202, asked.text);
  const { job, capture } = await watching;
  assert.deepEqual([job.act, job.refused, capture.state], ["finalize", null, "finalized"]);
  assert.equal((await resumed.exited).code, 0, resumed.logTail(10));
};

test("ferry control: each role gets what it may, the commands' own answers, and no secret", async (t) => {
  await using opened = await open();
  await t.test("roles, schemas and secrets", () => rolesAndSecrets(opened));
  await t.test("it answers as the commands do", () => answersAgree(opened));
  await t.test("what it changes is done, told, and in the audit log", () => steering(opened));
  await t.test("what is refused: bad requests, and tokens that are none", () => refusals(opened));
  await t.test("no request, however hostile, is answered with a fault of the server's", () => hostile(opened));
  const skip = SCHEMATHESIS === undefined;
  await t.test("schemathesis finds no fault of the server's either", { skip }, () => fuzzed(opened));
  await t.test("services are switched over, or taken back, when it is asked", () => switching(opened));
  await t.test("killed, it leaves nothing broken", () => killed(opened));
  await t.test("a run carries it in its own process, and shows its own end", () => beside(opened));
});

/** As a client that trusts this authority. */
const overTls = (url: string, ca: string): Promise<readonly [status: number, sts: string | undefined]> =>
  new Promise((resolve, reject) => {
    request(`${url}/healthz`, { ca: readFileSync(ca) }, (answer) => {
      answer.resume();
      resolve([answer.statusCode ?? 0, answer.headers["strict-transport-security"]]);
    })
      .on("error", reject)
      .end();
  });

test("of two control processes one stands by, and takes over at the same address when the other is killed", async () => {
  await using both = await bothSides();
  await using client = await new MongoClient(both.target.uri).connect();
  const state = new StateDb(client, "ferry_stood_by");
  const { token } = await new TokenStore(state).create({ role: "viewer", name: null, expiresAt: null }, AUTHOR);
  using folder = tempFolder();
  const { ca, signed } = await authority(folder.path);
  const pem = await signed("control");
  const where = ["--target", both.target.uri, "--state-db", "ferry_stood_by"];
  const refused = await ferry(["control", ...where, "--listen", "0.0.0.0:0"]);
  assert.deepEqual([refused.status, /tokens would be sent there in plain text/.test(refused.err)], [64, true]);

  await state.prepare();
  await using first = await startControl([...where, "--listen", "127.0.0.1:0"]);
  const url = controlUrl(first);
  const args = [...where, "--listen", new URL(url).host];
  await using second = await startControl(args, { says: "standing by" });
  assert.equal((await ask(url, "getOverview", { token })).status, 200);
  first.kill("SIGKILL");
  await first.exited;
  await second.says(`in control at ${url}`);
  assert.equal((await ask(url, "getOverview", { token })).status, 200);

  // Asked to stop, it leaves at once, and is followed at once.
  await using third = await startControl([...where, "--listen", "127.0.0.1:0", "--tls-cert", pem, "--tls-key", pem], {
    says: "standing by",
  });
  second.kill("SIGTERM");
  assert.equal((await second.exited).signal, "SIGTERM", second.logTail(10));
  await third.says("in control at https://");
  assert.deepEqual(await overTls(controlUrl(third), ca), [200, "max-age=31536000"]);
});
