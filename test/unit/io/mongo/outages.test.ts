import assert from "node:assert/strict";
import { test } from "node:test";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import type { Logger } from "#base/observe/log.ts";
import { throughOutages, whenFirstAnswers } from "#io/mongo/outages.ts";

const fixture = () => {
  let now = 0;
  const clock: Clock = {
    now: () => now,
    sleep: async (ms, signal) => {
      signal?.throwIfAborted();
      now += ms;
    },
  };
  const said: string[] = [];
  const say = (_: object, sentence: string): void => void said.push(sentence);
  const logger: Logger = { debug: say, info: say, warn: say, error: say };
  const away = (code: "FERRY_MONGO_UNREACHABLE" | "FERRY_KAFKA_UNREACHABLE" = "FERRY_MONGO_UNREACHABLE") =>
    new FerryError(code, "connect ECONNREFUSED");
  /** Does not answer until then, ms; each question takes two seconds. */
  const server = (name: string, untilMs: number) => ({
    name,
    ask: async () => {
      now += 2000;
      if (now < untilMs) throw away();
    },
  });
  return { deps: { clock, logger, signal: new AbortController().signal }, said, away, server };
};

test("work that is cut off waits for the servers, says for which and how long, and is done again", async () => {
  const { deps, said, away, server } = fixture();
  let tries = 0;
  const answer = await throughOutages(
    "looking",
    [server("the source", 0), server("the target", 30_000)],
    deps,
    async () => {
      if (++tries === 1) throw away();
      return "done";
    },
  );
  assert.equal(answer, "done");
  assert.equal(said[0], "interrupted while looking; it is repeated");
  assert.equal(said[1], "waiting for the target");
  assert.match(said.at(-1) ?? "", /^the target is back after \d+ s$/);
  assert.equal(said.length, 3, said.join());
});

test("a host that DNS does not know is a mistake at first, and an outage later", async () => {
  const { deps, said, server } = fixture();
  const unknown = new FerryError("FERRY_KAFKA_UNREACHABLE", "getaddrinfo ENOTFOUND kafka", {
    facts: { mistake: true },
  });
  const nobody = { name: "Kafka", ask: () => Promise.reject(unknown) };
  await assert.rejects(whenFirstAnswers(nobody, deps), unknown);
  assert.deepEqual(said, []);
  let asked = 0;
  const gone = { name: "Kafka", ask: () => (++asked < 3 ? Promise.reject(unknown) : Promise.resolve()) };
  let tries = 0;
  await throughOutages("beginning", [gone], deps, async () => {
    if (++tries === 1) throw unknown;
  });
  assert.equal(tries, 2);
  await whenFirstAnswers(server("Kafka", 0), deps);
});

test("errors that are not transient are thrown: refusals, ferry's own timeouts, faults", async () => {
  const { deps, server } = fixture();
  for (const error of [
    new FerryError("FERRY_TIMEOUT", "x"),
    new FerryError("FERRY_MONGO_PRIVILEGE", "x"),
    new Error("x"),
  ])
    await assert.rejects(
      throughOutages("looking", [server("the source", 0)], deps, () => Promise.reject(error)),
      (thrown) => thrown === error || (isFerry(thrown) && isFerry(error, thrown.code)),
    );
});

test("a login that is refused is said at once, with what to do, and waited for; at first it is a mistake", async () => {
  const { deps } = fixture();
  const refused = new FerryError("FERRY_MONGO_AUTH", "Authentication failed");
  const said: object[] = [];
  const warn = (fields: object): void => void said.push(fields);
  let asked = 0;
  const server = { name: "the source", ask: () => (++asked < 3 ? Promise.reject(refused) : Promise.resolve()) };
  let tries = 0;
  await throughOutages("carrying", [server], { ...deps, logger: { ...deps.logger, warn } }, async () => {
    if (++tries === 1) throw refused;
  });
  const { code, hint } = { code: refused.code, hint: refused.entry.hint };
  assert.deepEqual(said[1], { stage: "waiting", code, err: "Authentication failed", hint });
  const nobody = { name: "the source", ask: () => Promise.reject(refused) };
  await assert.rejects(whenFirstAnswers(nobody, deps), refused);
});
