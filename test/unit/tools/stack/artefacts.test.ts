import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { isFerry } from "#base/errors/ferryError.ts";
import { type Artefact, ensureCached, type FetchRoute } from "#tools/stack/artefacts.ts";
import { download } from "#tools/stack/download.ts";
import { javaMajor } from "#tools/stack/javaArtefact.ts";
import { isAtLeast, officialBuild } from "#tools/stack/mongodArtefact.ts";
import { kafkaJars, type Pinned, siteUrls } from "#tools/stack/pins.ts";
import { freePort } from "#tools/stack/ports.ts";
import { unzip, writeZip } from "#tools/stack/zip.ts";
import { tempFolder } from "../../../harness/folders.ts";

const BODY = "the program";

const pinned = (body: string): Pinned => ({
  file: "program.tgz",
  algorithm: "sha256",
  digest: createHash("sha256").update(body).digest("hex"),
});

/** A site that serves BODY, and counts how often. */
const site = async (): Promise<AsyncDisposable & { url: string; served: () => number }> => {
  let served = 0;
  const server: Server = createServer((request, response) => {
    served += 1;
    if (request.url === "/missing") response.writeHead(404).end();
    else response.end(BODY);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    served: () => served,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
};

/** The cache in a folder of this test's own. */
const ownCache = (): Disposable & { path: string } => {
  const folder = tempFolder();
  const before = process.env["FERRY_CACHE"];
  process.env["FERRY_CACHE"] = join(folder.path, "cache");
  return {
    path: join(folder.path, "cache"),
    [Symbol.dispose]: () => {
      if (before === undefined) delete process.env["FERRY_CACHE"];
      else process.env["FERRY_CACHE"] = before;
      folder[Symbol.dispose]();
    },
  };
};

const writes: FetchRoute = { name: "writes it", fetch: (folder) => writeFile(join(folder, "program"), BODY) };

const artefact = (routes: readonly FetchRoute[], more: Partial<Artefact> = {}): Artefact => ({
  what: "the program",
  folder: "program-1",
  entry: "program",
  bytes: 1024,
  routes,
  failure: "FERRY_STACK_MONGOD",
  ...more,
});

test("a download is kept only when its bytes are the pinned ones", async () => {
  await using server = await site();
  using folder = tempFolder();
  const to = join(folder.path, "file");
  await download(`${server.url}/program.tgz`, to, pinned(BODY));
  assert.equal(await readFile(to, "utf8"), BODY);
  await assert.rejects(download(`${server.url}/program.tgz`, `${to}2`, pinned("other")), (error) =>
    isFerry(error, "FERRY_STACK_CHECKSUM"),
  );
  assert.equal(existsSync(`${to}2`), false);
});

test("a site that cannot be reached, or has no such file, is one sentence within seconds", async () => {
  await using server = await site();
  using folder = tempFolder();
  const to = join(folder.path, "file");
  const started = Date.now();
  const closed = await freePort();
  for (const [address, reason] of [
    [`http://127.0.0.1:${closed}/program.tgz`, /cannot download program.tgz from 127.0.0.1:\d+: ECONNREFUSED/],
    ["http://nowhere.invalid/program.tgz", /the name cannot be resolved/],
    [`${server.url}/missing`, /HTTP status 404/],
  ] as const) {
    await assert.rejects(
      download(address, to, pinned(BODY)),
      (error) => isFerry(error, "FERRY_STACK_DOWNLOAD") && reason.test(error.detail),
    );
  }
  assert.ok(Date.now() - started < 15_000);
  assert.deepEqual(readdirSync(folder.path), ["owner.json"]);
});

test("routes are tried in order, the failed ones are named, and the cache serves afterwards", async () => {
  using cache = ownCache();
  const lines: string[] = [];
  const fails: FetchRoute = { name: "first route", fetch: () => Promise.reject(new Error("it is closed")) };
  const found = await ensureCached(artefact([fails, writes]), (line) => lines.push(line));
  assert.equal(found, join(cache.path, "program-1", "program"));
  assert.ok(lines.includes("the program: first route: it is closed"));
  assert.equal(await ensureCached(artefact([]), () => undefined), found);
  assert.deepEqual(readdirSync(cache.path), ["program-1"]);
});

test("where nothing works, one error names every route", async () => {
  using _cache = ownCache();
  const fails = (name: string): FetchRoute => ({ name, fetch: () => Promise.reject(new Error(`${name} is closed`)) });
  const refused = "an old one is installed";
  await assert.rejects(
    ensureCached(artefact([fails("one"), fails("two")], { refused }), () => undefined),
    (error) =>
      isFerry(error, "FERRY_STACK_MONGOD") &&
      ["an old one is installed", "one: one is closed", "two: two is closed"].every((part) =>
        error.detail.includes(part),
      ),
  );
});

test("a program that was fetched but does not run here is not kept", async () => {
  using cache = ownCache();
  const probe = () => Promise.reject(new Error("libssl is missing"));
  await assert.rejects(
    ensureCached(artefact([writes], { probe }), () => undefined),
    (error) => isFerry(error, "FERRY_STACK_MONGOD") && error.detail.includes("libssl is missing"),
  );
  assert.equal(existsSync(join(cache.path, "program-1")), false);
});

test("two concurrent requests download once", async () => {
  using _cache = ownCache();
  let fetched = 0;
  const slow: FetchRoute = {
    name: "slow",
    fetch: async (folder, report) => {
      fetched += 1;
      await new Promise((resolve) => setTimeout(resolve, 50));
      await writes.fetch(folder, report);
    },
  };
  const both = await Promise.all([1, 2].map(() => ensureCached(artefact([slow]), () => undefined)));
  assert.equal(both[0], both[1]);
  assert.equal(fetched, 1);
});

test("too little disk space is reported before any download, with the sizes", async () => {
  using _cache = ownCache();
  const untouched: FetchRoute = { name: "never", fetch: () => Promise.reject(new Error("it was asked")) };
  await assert.rejects(
    ensureCached(artefact([untouched], { bytes: 2 ** 52 }), () => undefined),
    (error) =>
      isFerry(error, "FERRY_STACK_DISK") && /needs 4294967296 MiB in .*, but only \d+ MiB are free/.test(error.detail),
  );
});

test("a zip that was written is unpacked as it was, and a path outside its folder is refused", async () => {
  using folder = tempFolder();
  const file = join(folder.path, "a.zip");
  await writeZip(file, { "META-INF/services/x": "one\n", other: "two" });
  assert.equal(await unzip(file, join(folder.path, "out"), (name) => name.replace("META-INF/", "")), 2);
  assert.equal(await readFile(join(folder.path, "out", "services", "x"), "utf8"), "one\n");
  const isRefused = (error: unknown): boolean => isFerry(error, "FERRY_STACK_CHECKSUM");
  // Beside the folder, also where its name begins with the folder's, above it, and the folder itself.
  for (const path of ["../escaped", "../out-side/x", "a/../../x", "."])
    await assert.rejects(
      unzip(file, join(folder.path, "out"), () => path),
      isRefused,
      path,
    );
  await writeZip(file, { "../x": "an entry that leaves the folder by its own name" });
  await assert.rejects(
    unzip(file, join(folder.path, "out"), (name) => name),
    isRefused,
  );
  const beside = (await readdir(folder.path)).filter((name) => ["escaped", "out-side", "x"].includes(name));
  assert.deepEqual(beside, []);
  await writeFile(file, "no zip at all");
  await assert.rejects(
    unzip(file, join(folder.path, "out"), (name) => name),
    isRefused,
  );
});

test("versions are read and compared as numbers", () => {
  assert.equal(javaMajor('openjdk version "17.0.15" 2025-04-15'), 17);
  assert.equal(javaMajor('java version "1.8.0_392"'), 8);
  assert.equal(javaMajor('openjdk version "25" 2025-09-16'), 25);
  assert.equal(javaMajor("command not found"), undefined);
  assert.ok(isAtLeast("6.0.5", "6.0.0"));
  assert.ok(isAtLeast("10.0.0", "6.0.0"));
  assert.ok(!isAtLeast("5.9.9", "6.0.0"));
});

test("each Linux gets the official build that runs on it", () => {
  const build = (text: string): string | undefined => officialBuild(text)?.file;
  assert.match(build('ID=debian\nVERSION_ID="12"\n') ?? "", /debian12/);
  assert.match(build('ID=debian\nVERSION_ID="13"\n') ?? "", /debian12/);
  assert.match(build('ID=ubuntu\nVERSION_ID="22.04"\nID_LIKE=debian\n') ?? "", /ubuntu2204/);
  assert.match(build('ID="rocky"\nVERSION_ID="9.4"\nID_LIKE="rhel centos fedora"\n') ?? "", /rhel8/);
  assert.equal(build("ID=alpine\nVERSION_ID=3.22\n"), undefined);
  assert.equal(build(""), undefined);
});

test("the list of jars is complete, and a mirror replaces the official sites", () => {
  const jars = kafkaJars();
  assert.ok(jars.length > 80);
  assert.ok(jars.every((jar) => /^[0-9a-f]{64}$/.test(jar.digest) && jar.file.endsWith(".jar")));
  assert.deepEqual(siteUrls("apache", { FERRY_MIRROR_APACHE: "http://127.0.0.1:1/m/" }), ["http://127.0.0.1:1/m"]);
  assert.equal(siteUrls("apache", {}).length, 2);
});
