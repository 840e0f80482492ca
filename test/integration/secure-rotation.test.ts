import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { directConverged } from "../harness/directRun.ts";
import { tempFolder } from "../harness/folders.ts";
import { type Guarded, guarded } from "../harness/guarded.ts";
import { TcpProxy } from "../harness/proxy.ts";
import { FerryProcess } from "../harness/worker.ts";

const folder = tempFolder();
const servers = new AsyncDisposableStack();
after(async () => {
  await servers.disposeAsync();
  folder[Symbol.dispose]();
});

/** One side: a server with a user of ferry's own, and the file with ferry's URI. Its connections can be broken. */
class Side {
  readonly name: string;
  readonly guarded: Guarded;
  readonly #proxy: TcpProxy;

  private constructor(name: string, server: Guarded, proxy: TcpProxy) {
    this.name = name;
    this.guarded = server;
    this.#proxy = proxy;
  }

  static async open(name: string): Promise<Side> {
    const server = servers.use(await guarded(folder.path, { name }));
    const proxy = servers.use(await TcpProxy.start(server.server.port));
    await server.root.db("admin").command({ createUser: "ferry", pwd: "first", roles: ["root"] });
    const side = new Side(name, server, proxy);
    side.write("first");
    return side;
  }

  get file(): string {
    return join(folder.path, `${this.name}-uri`);
  }

  /** What ferry says when the server refuses its login: which server, the code, and what to do. */
  get refusal(): RegExp {
    const says = `"code":"FERRY_MONGO_AUTH","err":"[^"]*127.0.0.1:${this.#proxy.port} refuses the login`;
    return new RegExp(`${says}[^"]*","hint":"[^"]*--${this.name}-file`);
  }

  /** The password as ferry's file has it. */
  write(password: string): void {
    writeFileSync(this.file, `mongodb://ferry:${password}@127.0.0.1:${this.#proxy.port}/?directConnection=true\n`);
  }

  /** The password as the server has it; it asks for it at once. */
  async change(pwd: string): Promise<void> {
    await this.guarded.root.db("admin").command({ updateUser: "ferry", pwd });
    this.#proxy.cut();
    this.#proxy.heal();
  }
}

test("a password that changes while ferry works is said, read again from its file, and nothing is lost", async () => {
  const sides = await Promise.all([Side.open("source"), Side.open("target")]);
  const [here, there] = sides.map(({ guarded }) => guarded.root) as [Guarded["root"], Guarded["root"]];
  const users = here.db("rotated").collection("users");
  await users.insertMany(Array.from({ length: 50 }, (_, n) => ({ n })));
  const flags = sides.flatMap(({ name, file }) => [`--${name}-file`, file]);
  await using run = new FerryProcess("run", ["run", ...flags, "--include", "rotated.*"], {}, "target is a ");
  await run.start();
  await run.says("copy finished");
  for (const side of sides) {
    await side.change("second");
    await users.insertOne({ changed: side.name });
    await run.says(side.refusal, 5000);
    side.write("second");
    await directConverged(here, there, "rotated.users");
  }
  for (const side of sides) {
    side.write("third"); // first the file, then the server: nothing needs to be said
    await side.change("third");
  }
  await users.updateMany({}, { $set: { again: true } });
  await directConverged(here, there, "rotated.users");
  assert.equal(run.pid !== undefined, true, run.logTail(10));
  assert.doesNotMatch(run.log(), /first@|second@|third@|:(?:first|second|third)\b/);
});
