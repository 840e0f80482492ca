import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { MongoClient } from "mongodb";
import { rolesScript } from "#tools/check/mongoRoles.ts";
import type { MongoOptions, MongoServer } from "#tools/stack/mongod.ts";
import { createPrinted, PASSWORD, readScript } from "./printedRoles.ts";

/**
 * `FERRY_TEST_LEAST=1 npm test -- FILE`: every mongod asks for logins. The test itself is root there; ferry connects as the users
 * that `ferry check --print-roles` prints, for every database, and has no other right.
 */
const IS_LEAST = process.env["FERRY_TEST_LEAST"] === "1";

const asUser = (uri: string, user: string): string =>
  uri.replace(/^mongodb:\/\/(?:root:[^@]*@)?(?!.*@)/, `mongodb://${user}:${PASSWORD}@`);

/** A server's options, with logins where they are to be; a test that has its own is left alone. */
export const guardedOptions = (options: MongoOptions): MongoOptions => {
  if (!IS_LEAST || options.args?.includes("--auth") === true) return options;
  const keyFile = join(options.dir, `key-${options.name}`);
  writeFileSync(keyFile, randomBytes(48).toString("base64"), { mode: 0o400 });
  return { ...options, args: [...(options.args ?? []), "--auth", "--keyFile", keyFile] };
};

/** Makes the users of a server that was started with such options; its URI is root's from then on. */
export const withUsers = async (server: MongoServer, options: MongoOptions): Promise<MongoServer> => {
  if (!IS_LEAST || options.args?.includes("--auth") === true) return server;
  const first = await MongoClient.connect(server.uri); // the localhost exception: one user may be made
  await first.db("admin").command({ createUser: "root", pwd: PASSWORD, roles: ["root"] });
  await first.close();
  const uri = asUser(server.uri, "root");
  await using root = await MongoClient.connect(uri);
  // A server of a test may be either side, and both in turn.
  const { source, target } = readScript(
    rolesScript(["source", "target"], { source: [""], target: [""], stateDb: "ferry" }),
  );
  await createPrinted(root, source);
  await createPrinted(root, target);
  return Object.defineProperty(server, "uri", { value: uri });
};

const USERS: Readonly<Record<string, string>> = {
  "--source": "ferry-source",
  FERRY_SOURCE: "ferry-source",
  "--target": "ferry-target",
  FERRY_TARGET: "ferry-target",
  "--state": "ferry-target",
  FERRY_STATE: "ferry-target",
};

const login = (name: string, value: string): string => {
  const user = USERS[name];
  return IS_LEAST && user !== undefined ? asUser(value, user) : value;
};

/** Arguments of ferry, with the logins that it is to have. */
export const ferryArgs = (args: readonly string[]): string[] => args.map((arg, i) => login(args[i - 1] ?? "", arg));

/** The same of its environment. */
export const ferryEnv = (env: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(env).map(([name, value]) => [name, login(name, value)]));
