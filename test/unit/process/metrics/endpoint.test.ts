import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { isFerry } from "#base/errors/ferryError.ts";
import { openEndpoint } from "#process/metrics/endpoint.ts";
import { metricsAddress } from "#process/metrics/metricsAddress.ts";

const ABOUT = { command: "run", version: "0" } as const;
const ANY = metricsAddress("127.0.0.1:0", false);

test("an address is a port, or a host and a port; one that others reach must be meant", () => {
  assert.deepEqual(metricsAddress("9464", false), { host: "127.0.0.1", port: 9464 });
  for (const local of ["localhost:1", "127.1.2.3:1", "[::1]:1"])
    assert.equal(metricsAddress(local, false).port, 1, local);
  for (const wide of ["0.0.0.0:9464", "[::]:9464", "10.0.0.1:9464", "ferry.example:9464", "127.example:9464"]) {
    assert.throws(
      () => metricsAddress(wide, false),
      (error) => isFerry(error, "FERRY_USAGE") && error.detail.includes("add --metrics-open"),
      wide,
    );
    assert.equal(metricsAddress(wide, true).port, 9464);
  }
  for (const none of ["", "host", "127.0.0.1:", "127.0.0.1:65536", ":1", "::1:9464"])
    assert.throws(() => metricsAddress(none, true), /--metrics must be PORT or HOST:PORT/, none);
});

test("it answers who asks for what it has, and says what that is", async () => {
  await using endpoint = await openEndpoint(ANY, ABOUT);
  const ask = (path: string, method = "GET"): Promise<Response> => fetch(`${endpoint.url}${path}`, { method });
  const metrics = await ask("/metrics?x=1");
  assert.match(metrics.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  assert.match(await metrics.text(), /^ferry_ready 0$/m);
  assert.equal((await ask("/healthz")).status, 200);
  const waiting = await ask("/readyz");
  assert.deepEqual([waiting.status, await waiting.text()], [503, "starting, or waiting for a server\n"]);
  using _part = endpoint.vitals.part("worker", () => undefined);
  const ready = await ask("/readyz");
  assert.deepEqual([ready.status, await ready.text()], [200, "ready\n"]);
  const other = await ask("/");
  assert.deepEqual([other.status, await other.text()], [404, "there are /metrics, /healthz, /readyz\n"]);
  assert.equal((await ask("/metrics", "POST")).status, 405);
  const head = await ask("/healthz", "HEAD");
  assert.deepEqual([head.status, await head.text()], [200, ""]);
});

test("a port that is taken, or an address of another machine, is one sentence", async () => {
  await using endpoint = await openEndpoint(ANY, ABOUT);
  const taken = metricsAddress(new URL(endpoint.url).port, false);
  await assert.rejects(
    openEndpoint(taken, ABOUT),
    (error) =>
      isFerry(error, "FERRY_METRICS_ADDRESS") &&
      error.detail === `--metrics 127.0.0.1:${taken.port}: another program listens there`,
  );
  await assert.rejects(openEndpoint(metricsAddress("192.0.2.1:0", true), ABOUT), /this machine has no such address/);
});

test("its end does not wait for those who ask", { timeout: 5000 }, async () => {
  const endpoint = await openEndpoint(ANY, ABOUT);
  const idle = connect(Number(new URL(endpoint.url).port), "127.0.0.1");
  await once(idle, "connect");
  idle.write("GET /metrics HTTP/1.1\r\n"); // and nothing more
  const kept = await fetch(`${endpoint.url}/healthz`); // a connection that is kept
  assert.equal(kept.status, 200);
  const closed = once(idle, "close");
  idle.on("error", () => undefined);
  await endpoint[Symbol.asyncDispose]();
  await closed;
});
