import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { LOOPBACK } from "#base/config/listenAddress.ts";

/** What the AWS SDK signs with; the server does not look at it. */
const CREDENTIALS = { AWS_ACCESS_KEY_ID: "bench", AWS_SECRET_ACCESS_KEY: "bench", AWS_EC2_METADATA_DISABLED: "true" };

const POOL = {
  Id: "local_bench",
  SchemaAttributes: ["sub", "email", "given_name", "family_name"].map((Name) => ({
    Name,
    AttributeDataType: "String",
  })),
};
const VERIFIED = { Name: "email_verified", AttributeDataType: "Boolean" };

type Asked = Readonly<{ Username?: string }>;

/**
 * Answers over HTTP as a user pool does that keeps nothing: in less time than any real one, so that a bench measures ferry and not the
 * emulator, which writes all of its users to a file with each call.
 */
export class PoolServer implements AsyncDisposable {
  readonly pool = POOL.Id;
  readonly #server = createServer((incoming, answer) => void this.#serve(incoming, answer));
  /** Of calls about users: how many, and when the first and the last came, ms. */
  #calls = { count: 0, firstMs: 0, lastMs: 0 };

  static async start(): Promise<PoolServer> {
    const server = new PoolServer();
    server.#server.listen(0, LOOPBACK);
    await once(server.#server, "listening");
    Object.assign(process.env, CREDENTIALS); // of the processes that are started from here on
    return server;
  }

  get endpoint(): string {
    return `http://${LOOPBACK}:${(this.#server.address() as AddressInfo).port}`;
  }

  get calls(): Readonly<{ count: number; firstMs: number; lastMs: number }> {
    return this.#calls;
  }

  /** They are counted from now on again. */
  reset(): void {
    this.#calls = { count: 0, firstMs: 0, lastMs: 0 };
  }

  async #serve(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    incoming.setEncoding("utf8");
    let body = "";
    for await (const text of incoming) body += text;
    const action = String(incoming.headers["x-amz-target"]).split(".")[1] ?? "";
    if (action.startsWith("Admin")) this.#count();
    const told = JSON.stringify(this.#answerTo(action, JSON.parse(body) as Asked));
    answer.writeHead(200, { "content-type": "application/x-amz-json-1.1" }).end(told);
  }

  #count(): void {
    const now = performance.now();
    const { count, firstMs } = this.#calls;
    this.#calls = { count: count + 1, firstMs: count === 0 ? now : firstMs, lastMs: now };
  }

  #answerTo(action: string, { Username = "" }: Asked): object {
    if (action === "DescribeUserPool")
      return { UserPool: { ...POOL, SchemaAttributes: [...POOL.SchemaAttributes, VERIFIED] } };
    if (action === "ListUsers") return { Users: [] };
    if (action === "AdminCreateUser") return { User: { Username, Attributes: [{ Name: "sub", Value: Username }] } };
    return {};
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }
}
