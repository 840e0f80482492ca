import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { MongoClient } from "mongodb";
import { compare } from "../harness/compare.ts";
import { bareEnvironment } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { sharedMongo } from "../harness/servers.ts";
import { tail, within } from "../harness/timeLimit.ts";

/** The tarball grows with the code; a bundle, a recording or a binary in it would exceed this, bytes. */
const LARGEST = 2_500_000;

/** All that may be in it. */
const ALLOWED = [
  /^(package\.json|README\.md|LICENSE)$/,
  /^bin\/(ferry|launch|tied)\.mjs$/,
  /^dist\/[\w/]+\.js(\.map)?$/,
  /^console\/built\/(stamp|index\.html|licences\.md|[\w-]+\.(css|js))$/,
  /^dist\/(package\.json|tools\/stack\/kafka-[\d.]+\.sha256)$/,
  /^deploy\/[\w-]+\.json$/,
  /^deploy\/grafana\/[\w-]+\.(json|yaml)$/,
  /^docs\/(adr\/)?[\w-]+\.md$/,
  /^docs\/(ferry\.schema|openapi)\.json$/,
  /^docs\/check_receipt\.py$/,
];

/** What pages of the package tell users to run or to read, besides what `dist` mirrors. */
const NAMED = [
  ...["docs/check_receipt.py", "docs/ferry.schema.json", "docs/openapi.json", "deploy/recommended-connector.json"],
  ...["index.html", "licences.md"].map((name) => `console/built/${name}`),
];

/** Anything in the environment is npm's business: its registry, proxy and cache. */
const NPM_MS = 120_000;

type Ended = Readonly<{ status: number | null; out: string; err: string }>;

const started = (command: string, args: readonly string[], env: Readonly<Record<string, string>>, cwd?: string) => {
  const child = spawn(command, args, { env, cwd, stdio: ["ignore", "pipe", "pipe"] });
  const said = { out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said.out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said.err += text;
  });
  const limit = (what: string, timeoutMs = NPM_MS) => ({
    what: `${command} ${args[0]}: ${what}`,
    seen: () => tail(`${said.out}\n${said.err}`),
    giveUp: () => child.kill("SIGKILL"),
    timeoutMs,
  });
  const closed = once(child, "close") as Promise<[number | null]>;
  const ended = async (): Promise<Ended> => {
    const [status] = await within(closed, limit("its end"));
    return { ...said, status };
  };
  const says = async (text: string): Promise<void> => {
    const heard = async (): Promise<void> => {
      while (!said.err.includes(text))
        await Promise.race([once(child.stderr, "data"), closed.then(() => assert.fail(said.err))]);
    };
    await within(heard(), limit(`"${text}"`, 60_000));
  };
  return { child, ended, says };
};

/** A Node that can run ferry stands first: where npm may not run install scripts, the pinned one is missing. */
const environment = (env: Readonly<Record<string, string>>): Record<string, string> => ({
  ...env,
  PATH: `${dirname(process.execPath)}:${process.env["PATH"]}`,
});

const npm = async (args: readonly string[], cwd?: string): Promise<string> => {
  const { status, out, err } = await started(
    "npm",
    args,
    environment(process.env as Record<string, string>),
    cwd,
  ).ended();
  assert.equal(status, 0, err);
  return out;
};

const listed = async (tarball: string): Promise<string[]> => {
  const { out } = await started("tar", ["tzf", tarball], { PATH: process.env["PATH"] ?? "" }).ended();
  return out
    .trim()
    .split("\n")
    .map((name) => name.replace(/^package\//, ""));
};

test("npm pack, npm i -g: the installed ferry runs from source to target outside any clone", {
  timeout: 420_000,
}, async (t) => {
  using folder = tempFolder();
  const [packed, prefix, empty] = ["packed", "prefix", "empty"].map((name) => {
    const path = join(folder.path, name);
    mkdirSync(path);
    return path;
  }) as [string, string, string];
  await npm(["pack", "--pack-destination", packed]);
  const tarball = join(packed, readdirSync(packed)[0] ?? "");

  await t.test(
    "the tarball holds the compiled code with its source maps, docs and data, and nothing else",
    async () => {
      const names = await listed(tarball);
      assert.deepEqual(
        names.filter((name) => !ALLOWED.some((allowed) => allowed.test(name))),
        [],
      );
      const sources = readdirSync("src", { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
      const missing = sources
        .flatMap((name) => [name.replace(/ts$/, "js"), name.replace(/ts$/, "js.map")])
        .filter((name) => !names.includes(`dist/${name}`));
      assert.deepEqual(missing, []);
      assert.deepEqual(
        NAMED.filter((name) => !names.includes(name)),
        [],
      );
      assert.ok(statSync(tarball).size < LARGEST, `${statSync(tarball).size} bytes`);
    },
  );

  await npm(["install", "--global", "--prefix", prefix, "--prefer-offline", "--no-audit", "--no-fund", tarball], empty);
  const command = join(prefix, "bin", "ferry");
  const env = environment(bareEnvironment({ HOME: folder.path, NODE_COMPILE_CACHE: join(folder.path, "compiled") }));
  const ferry = (...args: string[]) => started(command, args, env, empty);

  await t.test("it has the version of package.json, and completes in a shell", async () => {
    const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
    assert.deepEqual(await ferry("--version").ended(), { status: 0, out: `${version}\n`, err: "" });
    const { out } = await ferry("completion", "bash").ended();
    assert.match(out, /complete -F _ferry ferry/);
  });

  await t.test("it copies, streams with its probes in threads, and finalizes", async (t) => {
    const [source, target] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
    await using here = await MongoClient.connect(source.uri);
    await using there = await MongoClient.connect(target.uri);
    const people = here.db("shop").collection("people");
    await people.insertMany(Array.from({ length: 500 }, (_, n) => ({ n, name: `name ${n}` })));
    await people.createIndex({ n: 1 }, { unique: true });
    const sides = ["--source", source.uri, "--target", target.uri];
    const paced = ["--target-latency-ms", "5000", "--max-source-load", "5000"];
    const run = ferry("run", ...sides, "--include", "shop.*", ...paced);
    t.after(() => run.child.kill("SIGKILL"));
    await run.says("copy finished");
    await people.insertOne({ n: 500, name: "after the copy" });
    const finalized = await ferry("finalize", ...sides, "--json").ended();
    assert.equal(finalized.status, 0, finalized.err);
    assert.equal(JSON.parse(finalized.out).state, "finalized");
    const { status, err } = await run.ended();
    assert.equal(status, 0, err);
    const { wrong } = await compare(people, there.db("shop").collection("people"));
    assert.equal(wrong, 0);
    assert.equal(await there.db("shop").collection("people").countDocuments(), 501);
    const index = (await there.db("shop").collection("people").indexes()).find(({ name }) => name === "n_1");
    assert.equal(index?.unique, true);
  });
});
