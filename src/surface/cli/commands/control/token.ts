import type { Command } from "commander";
import { resolveState } from "#base/config/settings.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { ROLES, type Role, type TokenFacts, TokenStore } from "#process/control/tokenStore.ts";
import { print, printAside, printJson } from "#surface/terminal/output.ts";
import { table } from "#surface/terminal/textTable.ts";
import { choiceFlag } from "../../choices.ts";
import { cliAuthor } from "../../cliAuthor.ts";
import { type Flags, withConnections } from "../../connections.ts";
import { milliseconds } from "../../timeFlag.ts";

type CreateFlags = Flags & Readonly<{ role: Role; expires: string; name?: string }>;

/** `ferry token create | list | revoke`: who may ask `ferry control`. */
export const registerToken = (command: Command): void => {
  const add = (usage: string, description: string): Command =>
    withConnections(command.command(usage).description(description), ["target", "state"]);
  add("create", "make a token for `ferry control`, and print it once; only its hash is stored")
    .addOption(
      choiceFlag(
        "--role <role>",
        "viewer: sees the state, no documents; operator: sees documents, steers; cutover: also switches services",
        ROLES,
      ).makeOptionMandatory(),
    )
    .option("--expires <time>", "how long it is valid, such as 12h or 30d; never: until it is revoked", "30d")
    .option("--name <text>", "what it is for, shown in lists and in the audit log")
    .action(create);
  add("list", "list tokens, oldest first").action(list);
  add("revoke", "make a token invalid; control processes follow within a second")
    .argument("<id>", "its id, as `ferry token list` shows it")
    .action(revoke);
};

/** Tokens may be made before anything has run. */
const withTokens = (flags: Flags, work: (tokens: TokenStore) => Promise<void>): Promise<void> =>
  StateDb.within(resolveState(flags), { appName: "ferry token" }, (state) => work(new TokenStore(state)));

/** @throws FERRY_USAGE */
const create = async (flags: CreateFlags): Promise<void> => {
  const { role, expires, name = null } = flags;
  const expiresAt = expires === "never" ? null : new Date(Date.now() + milliseconds("--expires", expires));
  await withTokens(flags, async (tokens) => {
    const created = await tokens.create({ role, name, expiresAt }, cliAuthor());
    if (flags.json === true) return printJson(created);
    print(created.token);
    printAside(`token ${created.id} for role ${role}, valid ${untilText(created)}; it is not shown again`);
  });
};

const untilText = ({ expiresAt }: TokenFacts): string =>
  expiresAt === null ? "until it is revoked" : `until ${expiresAt.toISOString()}`;

const row = (one: TokenFacts): string[] => [
  one.id,
  one.role,
  one.state === "valid" ? `valid ${untilText(one)}` : one.state,
  `by ${one.createdBy} at ${one.createdAt.toISOString()}`,
  one.name ?? "",
];

const list = (flags: Flags): Promise<void> =>
  withTokens(flags, async (tokens) => {
    const found = await tokens.list();
    if (flags.json === true) printJson(found);
    else print(found.length === 0 ? "no tokens" : table(found.map(row)));
  });

const revoke = (id: string, flags: Flags): Promise<void> =>
  withTokens(flags, async (tokens) => {
    const revoked = await tokens.revoke(id, cliAuthor());
    if (flags.json === true) printJson(revoked);
    else print(`token ${id} is revoked`);
  });
