import { createContext, runInContext } from "node:vm";
import type { MongoClient } from "mongodb";

/** Of every user that a test makes. */
export const PASSWORD = "secret";

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
export const createPrinted = async (root: MongoClient, { roles, users }: Printed): Promise<void> => {
  const admin = root.db("admin");
  const has = async (kind: "roles" | "users", name: string): Promise<boolean> =>
    (await admin.command({ [`${kind}Info`]: name }))[kind].length > 0;
  for (const { role, ...rest } of roles)
    await admin.command({ [(await has("roles", role)) ? "updateRole" : "createRole"]: role, ...rest });
  for (const { user, ...rest } of users)
    await admin.command({ [(await has("users", user)) ? "updateUser" : "createUser"]: user, ...rest });
};
