import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { isFerry } from "#base/errors/ferryError.ts";
import { systemClock } from "#base/flow/clock.ts";
import type { Logger } from "#base/observe/log.ts";
import { openMongo } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { reachMongo } from "#io/mongo/reach.ts";

const lines = (): Logger & { said: string[] } => {
  const said: string[] = [];
  const say = (fields: Parameters<Logger["info"]>[0], sentence: string) =>
    void said.push(`${sentence}: ${fields.err ?? ""}`);
  return { said, debug: say, info: say, warn: say, error: say };
};

const reach = (uri: string, signal: AbortSignal, logger = lines()) =>
  reachMongo(uri, { side: "source", appName: "test", clock: systemClock, logger, signal });

test("a client whose first attempts fail is no dead one", async () => {
  await using client = openMongo("mongodb://127.0.0.1:1", { appName: "test", timeoutMs: 50 });
  const ask = () => translated("asking", () => client.db("admin").command({ ping: 1 }));
  const away = (error: unknown) => isFerry(error, "FERRY_MONGO_UNREACHABLE");
  await Promise.all([assert.rejects(ask(), away), assert.rejects(ask(), away)]);
  await assert.rejects(ask(), (error) => away(error) && /ECONNREFUSED/.test(String(error))); // the driver's own says "Topology is closed" here, for ever
});

test("a server that is not there is waited for, until the signal", { timeout: 20_000 }, async () => {
  const logger = lines();
  const stop = new AbortController();
  const waiting = reach("mongodb://127.0.0.1:1", stop.signal, {
    ...logger,
    warn: (fields, sentence) => {
      logger.warn(fields, sentence);
      stop.abort(new Error("stopped"));
    },
  } as ReturnType<typeof lines>);
  await assert.rejects(waiting, /stopped/);
  assert.match(logger.said.join(), /^waiting for the source: connect ECONNREFUSED/);
});

test("an unknown host, and TLS on a server without it, are mistakes: reported immediately", {
  timeout: 20_000,
}, async () => {
  const plain = createServer((socket) => socket.end("no TLS here\r\n"));
  plain.listen(0, "127.0.0.1");
  await once(plain, "listening");
  const { port } = plain.address() as AddressInfo;
  const begun = Date.now();
  for (const uri of ["mongodb://nobody.invalid:1", `mongodb://127.0.0.1:${port}/?tls=true`]) {
    const logger = lines();
    await assert.rejects(reach(uri, new AbortController().signal, logger), (error) =>
      isFerry(error, "FERRY_MONGO_UNREACHABLE"),
    );
    assert.deepEqual(logger.said, []);
  }
  assert.ok(Date.now() - begun < 9000, "sooner than the driver gives up");
  plain.close();
});
