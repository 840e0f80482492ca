import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createContext, runInContext } from "node:vm";
import { MongoClient } from "mongodb";
import type { MongoOptions, MongoServer } from "#tools/stack/mongod.ts";
import { mongo } from "./servers.ts";

export const PASSWORD = "secret";

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

export type Role = Readonly<{ role: string; privileges: { resource: object; actions: string[] }[]; roles: string[] }>;
export type User = Readonly<{ user: string; pwd: string; roles: string[] }>;
export type Printed = { roles: Role[]; users: User[] };

/**
 * What a script for mongosh asks for, by the sides that its comments name. It is run as JavaScript; a password that it prompts for
 * is PASSWORD.
 */
export const readScript = (script: string): Readonly<{ source: Printed; target: Printed }> => {
  const sides = { source: { roles: [], users: [] }, target: { roles: [], users: [] } } as {
    source: Printed;
    target: Printed;
  };
  for (const part of script.split(/(?=^\/\/ on the )/m).filter((text) => text.trim() !== "")) {
    const side = sides[/^\/\/ on the (source|target)/.exec(part)?.[1] as "source" | "target"];
    const admin = {
      createRole: (role: Role) => side.roles.push(JSON.parse(JSON.stringify(role))),
      createUser: (user: User) => side.users.push(JSON.parse(JSON.stringify(user))),
    };
    const getSiblingDB = (name: string): unknown => (name === "admin" ? admin : undefined);
    runInContext(part, createContext({ db: { getSiblingDB }, passwordPrompt: () => PASSWORD }));
  }
  return sides;
};

/** Makes the users of a script, as mongosh would; those that are there get the rights that it says. */
export const createPrinted = async ({ root }: Guarded, { roles, users }: Printed): Promise<void> => {
  const admin = root.db("admin");
  const has = async (kind: "roles" | "users", name: string): Promise<boolean> =>
    (await admin.command({ [`${kind}Info`]: name }))[kind].length > 0;
  for (const { role, ...rest } of roles)
    await admin.command({ [(await has("roles", role)) ? "updateRole" : "createRole"]: role, ...rest });
  for (const { user, ...rest } of users)
    await admin.command({ [(await has("users", user)) ? "updateUser" : "createUser"]: user, ...rest });
};
