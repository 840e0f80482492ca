import assert from "node:assert/strict";
import { test } from "node:test";
import { unlessAborted } from "#base/flow/abort.ts";
import { TaskGroup } from "#base/flow/taskGroup.ts";

test("the first failure stops the others and is the one that comes out", async () => {
  const tasks = new TaskGroup();
  const first = new Error("first");
  tasks.run(async () => {
    await unlessAborted(new Promise(() => undefined), tasks.signal);
    throw new Error("second, because of the first");
  });
  tasks.run(() => Promise.reject(first));
  await assert.rejects(tasks.settled(), (error) => error === first);
  assert.equal(tasks.signal.reason, first);
});

test("disposal waits for what runs, and tasks may start tasks", async () => {
  const done: string[] = [];
  {
    await using tasks = new TaskGroup();
    tasks.run(async () => {
      await new Promise((resolve) => setImmediate(resolve));
      tasks.run(async () => {
        await new Promise((resolve) => setImmediate(resolve));
        done.push("inner");
      });
      done.push("outer");
    });
  }
  assert.deepEqual(done, ["outer", "inner"]);
});

test("the parent's signal reaches the group", async () => {
  const parent = new AbortController();
  await using tasks = new TaskGroup(parent.signal);
  tasks.run(async () => {
    await unlessAborted(new Promise(() => undefined), tasks.signal);
  });
  parent.abort();
  await tasks.settled();
});

test("unlessAborted answers the value, the failure, or undefined when stopped", async () => {
  const stop = new AbortController();
  assert.equal(await unlessAborted(Promise.resolve(1), stop.signal), 1);
  await assert.rejects(unlessAborted(Promise.reject(new Error("x")), stop.signal), /x/);
  const waiting = unlessAborted(new Promise(() => undefined), stop.signal);
  stop.abort();
  assert.equal(await waiting, undefined);
});
