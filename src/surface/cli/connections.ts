import type { Command } from "commander";
import { resolveCarrying } from "#base/config/carrying.ts";
import { readConfig } from "#base/config/readConfig.ts";
import {
  ADDRESSES,
  type Address,
  LEVELS,
  LOG_FORMATS,
  resolveState,
  type SettingFlags,
} from "#base/config/settings.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { holdsSecret } from "#base/errors/secrets.ts";
import { systemClock } from "#base/flow/clock.ts";
import { connectMongo, type MongoClient } from "#io/mongo/connect.ts";
import { requireRoute, requireState } from "#io/state/knownState.ts";
import { StateDb } from "#io/state/stateDb.ts";
import type { ConnectAddress } from "#source/connect/connectAddress.ts";
import { ConnectRest } from "#source/connect/connectRest.ts";
import { printAside } from "#surface/terminal/output.ts";
import { isText, openLogger } from "#surface/terminal/textLogger.ts";
import { choiceFlag } from "./choices.ts";

/** Flags as commander hands them over. */
export type Flags = SettingFlags & Readonly<{ json?: boolean }>;

const FLAGS = {
  source: ["uri", "source MongoDB"],
  target: ["uri", "target MongoDB"],
  state: ["uri", "MongoDB that holds ferry's state (default: the target)"],
  kafka: ["servers", "Kafka bootstrap servers, host:port, comma-separated"],
  connect: ["url", "base URL of Kafka Connect's REST API"],
} as const satisfies Record<Address, readonly [value: string, description: string]>;

/** Adds the flags of a command that logs: how much, and in which form. */
export const withLog = (command: Command): Command =>
  command
    .addOption(choiceFlag("--log-level <level>", "least severe level that is logged (default: info)", LEVELS))
    .addOption(
      choiceFlag("--log-format <format>", "form of the log (default: text on a terminal, json elsewhere)", LOG_FORMATS),
    );

/** Will the command's stderr be lines of JSON? */
export const logsJson = (command: Command): boolean => {
  if (!command.options.some(({ long }) => long === "--log-format")) return false;
  const { logFormat = process.env["FERRY_LOG_FORMAT"] } = command.opts<SettingFlags>();
  return !isText(logFormat);
};

/** Adds the flag of Kafka's security. */
export const withKafkaConfig = (command: Command): Command =>
  command.option("--kafka-config <file>", "properties of Kafka clients: security.protocol, sasl.*, ssl.*");

const isMongoUri = (name: Address): boolean => FLAGS[name][0] === "uri";

/** Adds the flag of certificates that are not checked, once for all sides. */
const withTlsUnchecked = (command: Command): void => {
  if (command.options.some(({ long }) => long === "--tls-unchecked")) return;
  command.option(
    "--tls-unchecked <sides>",
    "MongoDB servers whose URI may take any certificate: source, target, state",
  );
};

/** Adds the flags of addresses, each also from a file; a description of the command's own replaces the usual one. */
export const withAddresses = (
  command: Command,
  wanted: Readonly<Partial<Record<Address, string | undefined>>>,
): Command => {
  for (const name of ADDRESSES) {
    if (!(name in wanted)) continue;
    const [value, description] = FLAGS[name];
    command.option(`--${name} <${value}>`, wanted[name] ?? description);
    command.option(
      `--${name}-file <file>`,
      `file that holds ${isMongoUri(name) ? "the URI" : "the address"}, if it has a password`,
    );
    if (name === "kafka") withKafkaConfig(command);
    if (name === "connect") command.option("--connect-ca <file>", "PEM file of the authorities trusted at --connect");
    if (isMongoUri(name)) withTlsUnchecked(command);
  }
  return command;
};

/** Adds the flags of ferry's own database. */
export const withStateFlags = (command: Command): Command =>
  withAddresses(command, { state: undefined }).option("--state-db <name>", "ferry's database there (default: ferry)");

/** Adds the shared flags that a command takes, and `--json`. `state`: those of ferry's own database. */
export const withConnections = (command: Command, names: readonly Address[]): Command => {
  const addresses = names.filter((name) => name !== "state");
  withAddresses(command, Object.fromEntries(addresses.map((name) => [name, undefined])));
  if (names.includes("state")) withStateFlags(command);
  return command.option("--json", "print the facts as one JSON value");
};

/**
 * One warning for flags that hold a password: every user who may list processes can read it. If stderr has lines of JSON, the warning is one.
 * @param flags what was given on the command line
 */
export const warnOfVisiblePasswords = (flags: SettingFlags, asJson: boolean): void => {
  const visible = ADDRESSES.filter((name) => holdsSecret(flags[name] ?? ""));
  if (visible.length === 0) return;
  const upper = visible.map((name) => `FERRY_${name.toUpperCase()}`);
  const sentence = `${visible.map((name) => `--${name}`).join(" and ")} can be read in the list of processes, with the password; use the environment (${upper.join(", ")}) or a file (${visible.map((name) => `--${name}-file`).join(", ")})`;
  if (asJson) openLogger("warn", "json").warn({}, sentence);
  else printAside(`ferry: warning: ${sentence}`);
};

/**
 * Works with what ferry remembers, for a command about what ran: a database without ferry's state, or a route that never ran,
 * is refused. Closes the connection afterwards. @throws FERRY_USAGE, FERRY_MONGO_*
 */
export const withState = (
  flags: Flags & Readonly<{ route?: string }>,
  appName: string,
  work: (state: StateDb) => Promise<void>,
): Promise<void> => {
  const place = resolveState(flags);
  return StateDb.within(place, { side: place.side, appName }, async (state) => {
    await requireState(state);
    await requireRoute(state, flags.route);
    await work(state);
  });
};

/**
 * Works on the target with what ferry remembers, which may be nothing yet: one connection where both are in one place, and where no
 * route of `config` goes to a target.
 */
export const withPlaces = async (
  flags: Flags & Readonly<{ config?: string }>,
  appName: string,
  work: (target: MongoClient, state: StateDb) => Promise<void>,
): Promise<void> => {
  const place = resolveState(flags);
  const { routes } = await readConfig(flags.config);
  const { target: given } = resolveCarrying(flags, routes, []);
  const [uri, side] = given === undefined ? [place.uri, place.side] : [given, "target" as const];
  const target = await connectMongo(uri, { side, appName });
  try {
    if (place.uri === uri) await work(target, new StateDb(target, place.stateDb));
    else await StateDb.within(place, { side: place.side, appName }, (state) => work(target, state));
  } finally {
    await target.close();
  }
};

/** `withState` for a command that looks at the target's documents as well. */
export const withTarget = (
  flags: Flags & Readonly<{ config?: string }>,
  appName: string,
  work: (target: MongoClient, state: StateDb) => Promise<void>,
): Promise<void> =>
  withPlaces(flags, appName, async (target, state) => {
    await requireState(state);
    await work(target, state);
  });

/** A Connect that is just starting, or moving its connectors, answers within this, ms. */
export const CONNECT_PATIENCE_MS = 20_000;

/** Kafka Connect for a command that can wait for it, and says so when it does. */
export const patientConnect = (
  address: ConnectAddress,
  { giveUpAfterMs, signal }: Readonly<{ giveUpAfterMs: number; signal?: AbortSignal }>,
): ConnectRest =>
  new ConnectRest({
    ...address,
    clock: systemClock,
    signal,
    giveUpAfterMs,
    onRetry: (error, attempt) => {
      if (attempt === 3) printAside(`${error.detail}; waiting for Kafka Connect`);
    },
  });

/** A whole number given as a flag, from `min` (1) to `max` (a thousand million). @throws FERRY_USAGE */
export const wholeNumber = (
  flag: string,
  text: string,
  { min = 1, max = 1_000_000_000 }: Readonly<{ min?: number; max?: number }> = {},
): number => {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new FerryError("FERRY_USAGE", `${flag} must be a whole number from ${min} to ${max}, not "${text}"`);
};
