import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { isFerry } from "#base/errors/ferryError.ts";
import { isControlAt, requireFree } from "#surface/api/listening.ts";

const serve = async (headers: Readonly<Record<string, string>>) => {
  const server = createServer((_, answer) => answer.writeHead(200, headers).end("alive\n"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { address: { host: "127.0.0.1", port }, tls: undefined, [Symbol.dispose]: () => server.close() };
};

test("another control process is told from another program, which refuses the address", async () => {
  using control = await serve({ "x-ferry": "control" });
  assert.equal(await isControlAt(control), true);
  const other = await serve({});
  assert.equal(await isControlAt(other), false);
  await assert.rejects(requireFree(other.address), (error) => isFerry(error, "FERRY_CONTROL_ADDRESS"));
  other[Symbol.dispose]();
  assert.equal(await isControlAt(other), false);
  await requireFree(other.address);
  assert.equal(await isControlAt({ ...other, address: { host: "127.0.0.1", port: 0 } }), false);
});
