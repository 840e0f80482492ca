import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";
import { LOOPBACK } from "#base/config/listenAddress.ts";
import { ferry } from "../harness/ferry.ts";

test("a port that is taken is named, with the variable that moves it", async () => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, LOOPBACK, resolve));
  const address = holder.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const { DOCKER_HOST = "" } = process.env;
  const env = { DOCKER_HOST, MONGO_TARGET_PORT: String(port) };
  const { status, out } = await ferry(["check", "--containers"], { env });
  holder.close();
  assert.equal(status, 1);
  assert.match(out, new RegExp(`^FAIL +docker +port ${port} \\(mongo-target\\) is taken by another program`, "m"));
  assert.match(out, /MONGO_TARGET_PORT=\d+ docker compose up --build/);
});

test("no engine is one sentence with a remedy", async () => {
  const { status, out } = await ferry(["check", "--containers"], {
    env: { DOCKER_HOST: "unix:///nowhere/docker.sock" },
  });
  assert.equal(status, 1);
  assert.match(out, /^FAIL +docker +no Docker engine answers\n +Start it .* `ferry stack up`\.$/m);
});
