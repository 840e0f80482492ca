import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { test } from "node:test";
import type { Document } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { every } from "#base/flow/every.ts";
import type { Status } from "#process/report/status.ts";
import { bothSides } from "../harness/bothSides.ts";
import { directConverged, endDirect, startCapture, startDirect } from "../harness/directRun.ts";
import { ferry } from "../harness/ferry.ts";
import { fill, startLoad, testSeed } from "../harness/load.ts";
import { metricsUrl, readySays, type Scrape, scrape, scrapedUntil, total } from "../harness/scrape.ts";
import { sharedKafka } from "../harness/servers.ts";
import { type FerryProcess, startWorker } from "../harness/worker.ts";

const ANY_PORT = ["--metrics", "127.0.0.1:0"];
const OUTCOMES = ["applied", "superseded", "filtered", "dead"];

/** Scrapes until it is disposed of, 20 times a second at most. Every scrape is checked. */
const scraping = (url: string) => {
  const ending = new AbortController();
  let scrapes = 0;
  const running = every(50, { clock: systemClock, ended: ending.signal, first: "now" }, async () => {
    await scrape(url);
    scrapes++;
  });
  running.catch(() => undefined); // reported by end()
  return {
    end: async () => {
      ending.abort();
      await running;
      return scrapes;
    },
  };
};

/** A client that asks for half a page and waits must not hold the process up. */
const endsInSpiteOfClients = async (process: FerryProcess, url: string): Promise<void> => {
  const idle = connect(Number(new URL(url).port), "127.0.0.1");
  idle.on("error", () => undefined);
  await once(idle, "connect");
  idle.write("GET /metrics HTTP/1.1\r\n");
  const began = Date.now();
  process.kill("SIGTERM");
  const { signal } = await process.exited;
  idle.destroy();
  assert.equal(signal, "SIGTERM", process.logTail(20));
  assert.ok(Date.now() - began < 10_000, `it took ${Date.now() - began} ms`);
};

test("ferry run under load: what it tells adds up with its books, and its end waits for no scrape", async () => {
  const seed = testSeed();
  await using both = await bothSides();
  const users = both.here.db("scraped").collection<Document>("users");
  await fill(users, 5000, seed);
  const route = "scraped.users";
  // The source has no such index: of two documents with one value the second becomes a dead letter.
  const unique = { unique: true, partialFilterExpression: { only: { $exists: true } } };
  await both.there.db("scraped").collection("users").createIndex({ only: 1 }, unique);
  const stateDb = ["--state-db", "ferry_scraped"];
  const load = startLoad(users, { seed, writers: 20, keys: 8000, pauseMs: 20 });
  await using run = await startDirect({
    source: both.source.uri,
    target: both.target.uri,
    include: [route],
    args: [...stateDb, ...ANY_PORT, "--no-structure", "--target-latency-ms", "5000"],
  });
  const url = await metricsUrl(run);
  const scraped = scraping(url);
  await readySays(url, "ready");
  await run.says("copy finished");
  await load.stop();
  await users.insertMany([{ _id: "one" as never, only: 1 }]);
  await directConverged(both.here, both.there, route);
  await users.insertMany([{ _id: "two" as never, only: 1, born: { on: "day 40" } }]);
  const isOver = (told: Scrape): boolean =>
    total(told, "ferry_events_total", { route, outcome: "dead" }) === 1 &&
    total(told, "ferry_waiting_records", { route }) === 0;
  await scrapedUntil(url, "a dead letter, and nothing more to do", isOver, (told) => told.get("ferry_events_total"));
  assert.ok((await scraped.end()) > 5);

  const { lanes } = JSON.parse(
    (await ferry(["status", "--target", both.target.uri, ...stateDb, "--json"])).out,
  ) as Status;
  const told = await scrape(url);
  const value = (name: string, labels = {}): number | undefined => total(told, name, labels);
  for (const outcome of OUTCOMES as (keyof Status["lanes"][number]["counts"])[]) {
    const inBooks = lanes.reduce((sum, { counts }) => sum + counts[outcome], 0);
    assert.equal(value("ferry_events_total", { route, outcome }) ?? 0, inBooks, outcome);
  }
  assert.equal(value("ferry_held_lanes", { route }), lanes.length);
  assert.equal(value("ferry_held_partitions", { route }), value("ferry_route_partitions", { route }));
  assert.equal(value("ferry_books_imbalance", { route }), 0);
  assert.equal(value("ferry_route_halted", { route }), 0);
  assert.equal(value("ferry_dead_letter_documents", { route }), 1);
  assert.equal(value("ferry_dead_letters_total", { route }), 1);
  assert.ok((value("ferry_drift_findings_total", { route, kind: "field" }) ?? 0) >= 1);
  assert.ok((value("ferry_operations_total", { route, op: "insert" }) ?? 0) >= 3000);
  assert.ok((value("ferry_operations_total", { route, op: "replace" }) ?? 0) > 0);
  assert.ok((value("ferry_event_bytes_total", { route }) ?? 0) > 5000 * 20);
  assert.ok((value("ferry_copied_documents") ?? 0) >= 3000);
  assert.equal(value("ferry_copy_done_ranges"), value("ferry_copy_ranges"));
  assert.equal(value("ferry_capture_phase", { phase: "stream" }), 1);
  assert.ok((value("ferry_captured_events_total") ?? 0) > 0);
  for (const seconds of ["ferry_lag_seconds", "ferry_capture_lag_seconds"])
    assert.ok((value(seconds) ?? 99) < 10, seconds);
  for (const known of ["ferry_oplog_left_seconds", "ferry_spool_limit_bytes", "ferry_throttle_ratio"])
    assert.ok(value(known) !== undefined, known);
  assert.equal(value("ferry_build_info", { command: "run" }), 1);
  await endsInSpiteOfClients(run, url);
});

test("ferry capture and two workers: each tells its part; a pause and a target that is away are no readiness", async () => {
  const seed = testSeed();
  await using both = await bothSides();
  const kafka = await sharedKafka();
  const users = both.here.db("shared").collection<Document>("users");
  await fill(users, 2000, seed);
  const route = "shared.users";
  const stateDb = ["--state-db", "ferry_shared"];
  const urls = { source: both.source.uri, target: both.target.uri, kafka: kafka.bootstrap };
  const args = [...stateDb, ...ANY_PORT];
  await using capture = await startCapture({ ...urls, include: [route], args });
  const workerArgs = [...args, "--topics", route];
  await using first = await startWorker({ ...urls, args: workerArgs });
  await using second = await startWorker({ ...urls, args: workerArgs });
  const [captureUrl, ...workerUrls] = await Promise.all([capture, first, second].map(metricsUrl));
  const load = startLoad(users, { seed, writers: 10, keys: 3000, pauseMs: 20 });
  const scraped = [captureUrl, ...workerUrls].map((url) => scraping(url ?? ""));
  await scrapedUntil(
    captureUrl ?? "",
    "events of the change stream",
    (one) => (total(one, "ferry_captured_events_total") ?? 0) > 1000,
    (one) => one.get("ferry_captured_events_total"),
  );
  await load.stop();
  await directConverged(both.here, both.there, route);
  for (const one of scraped) assert.ok((await one.end()) > 5);
  for (const url of workerUrls) await readySays(url, "ready");

  const told = await Promise.all(workerUrls.map(scrape));
  const sum = (name: string, labels = {}): number =>
    told.reduce((all, one) => all + (total(one, name, { route, ...labels }) ?? 0), 0);
  assert.equal(sum("ferry_held_partitions"), 4);
  assert.deepEqual(
    told.map((one) => total(one, "ferry_route_partitions", { route })),
    [4, 4],
  );
  assert.ok(sum("ferry_events_total", { outcome: "applied" }) >= 2000);
  assert.equal(told.map((one) => total(one, "ferry_captured_events_total")).join(), ",", "a worker captures nothing");

  const control = (command: string) => ferry([command, "--target", both.target.uri, ...stateDb]);
  assert.equal((await control("pause")).status, 0);
  await readySays(captureUrl ?? "", "capture: paused");
  assert.equal(total(await scrape(captureUrl ?? ""), "ferry_capture_phase", { phase: "paused" }), 1);
  assert.equal((await control("resume")).status, 0);
  await readySays(captureUrl ?? "", "ready");
  await endsInSpiteOfClients(first, workerUrls[0] ?? "");
  const takesAll = (one: Scrape): boolean => total(one, "ferry_held_partitions", { route }) === 4;
  await scrapedUntil(workerUrls[1] ?? "", "four partitions", takesAll, (one) => one.get("ferry_held_partitions"));
  await endsInSpiteOfClients(capture, captureUrl ?? "");
});

test("an address that cannot be listened on ends a command with one sentence, before it waits for a server", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const away = { source: "mongodb://127.0.0.1:1", target: "mongodb://127.0.0.1:1" };
  const taken = await endDirect({ ...away, args: ["--metrics", String(port)] });
  server.close();
  assert.equal(taken.status, 69, taken.err);
  assert.match(
    taken.err,
    new RegExp(`FERRY_METRICS_ADDRESS: --metrics 127\\.0\\.0\\.1:${port}: another program listens`),
  );
  const wide = await endDirect({ ...away, env: { FERRY_METRICS: "0.0.0.0:9464" } });
  assert.equal(wide.status, 64, wide.err);
  assert.match(wide.err, /FERRY_USAGE: --metrics 0\.0\.0\.0:9464 can be read from other machines: add --metrics-open/);
});
