import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { MongoClient } from "mongodb";
import type { MongoOptions, MongoServer } from "#tools/stack/mongod.ts";
import { PASSWORD } from "./printedRoles.ts";
import { mongo } from "./servers.ts";

/** A server that asks for passwords. The caller disposes of it. */
export type Guarded = AsyncDisposable &
  Readonly<{
    server: MongoServer;
    /** A client that may do everything. */
    root: MongoClient;
    /** The URI of one of its users, whose password is PASSWORD. */
    uri: (user: string) => string;
  }>;

/** @param folder where its key file is written */
export const guarded = async (folder: string, options: Partial<MongoOptions> = {}): Promise<Guarded> => {
  const keyFile = join(folder, `key-${options.name ?? "guarded"}`);
  writeFileSync(keyFile, randomBytes(48).toString("base64"), { mode: 0o400 });
  await using stack = new AsyncDisposableStack();
  const auth = ["--auth", "--keyFile", keyFile, ...(options.args ?? [])];
  const server = stack.use(await mongo({ name: "guarded", ...options, args: auth }));
  const uri = (user: string): string =>
    server.uri.replace("mongodb://", `mongodb://${user}:${PASSWORD}@`).replace(/\/\?/, "/admin?");
  const first = await MongoClient.connect(server.uri); // the localhost exception: one user may be made
  await first.db("admin").command({ createUser: "root", pwd: PASSWORD, roles: ["root"] });
  await first.close();
  const root = stack.use(await MongoClient.connect(uri("root")));
  const owned = stack.move();
  return { server, root, uri, [Symbol.asyncDispose]: () => owned.disposeAsync() };
};
