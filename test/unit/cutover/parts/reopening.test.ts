import assert from "node:assert/strict";
import { test } from "node:test";
import type { Fence, Services } from "#cutover/machine/parts.ts";
import { Reopening } from "#cutover/parts/reopening.ts";

const reopening = (release: Services["release"]) => {
  const done: string[] = [];
  const fence = {
    lift: async () => done.push("lift"),
    raise: async (ms: number, signal: AbortSignal) => done.push(`raise ${ms}${signal.aborted ? " aborted" : ""}`),
  } as unknown as Fence;
  const services: Services = {
    trial: async () => void done.push("trial"),
    release: async (...how) => {
      done.push("release");
      await release(...how);
    },
  };
  return { back: new Reopening([fence], services), done };
};

test("the former fence is lifted before services are sent there", async () => {
  const { back, done } = reopening(async () => undefined);
  await back.release(500, new AbortController().signal);
  assert.deepEqual(done, ["lift", "release"]);
});

test("where services were not sent, the fence goes up again, also when the pause is over, and the reason comes out", async () => {
  const stop = new AbortController();
  const { back, done } = reopening(async () => {
    stop.abort();
    throw new Error("no proxy");
  });
  await assert.rejects(back.release(3, stop.signal), /no proxy/);
  assert.deepEqual(done, ["lift", "release", "raise 1000"]);
});
