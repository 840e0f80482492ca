import type { Command } from "commander";
import { ConnectRest } from "#capture/connectRest.ts";
import { resolveSettings, type Settings } from "#config/settings.ts";
import { FerryError } from "#errors/ferryError.ts";
import { systemClock } from "#flow/clock.ts";
import { connectMongo, type MongoClient } from "#mongo/connect.ts";

/** Flags as commander hands them over. */
export type Flags = Readonly<Partial<Record<keyof Settings, string>>> & Readonly<{ json?: boolean }>;

const FLAGS = {
  source: ["--source <uri>", "source MongoDB"],
  target: ["--target <uri>", "target MongoDB, which also holds ferry's state"],
  kafka: ["--kafka <servers>", "Kafka bootstrap servers, host:port, comma-separated"],
  connect: ["--connect <url>", "base URL of Kafka Connect's REST API"],
  stateDb: ["--state-db <name>", "ferry's database on the target"],
} as const;

/** Adds the shared flags that a command takes, and `--json`. */
export const withConnections = (command: Command, names: readonly (keyof typeof FLAGS)[]): Command => {
  for (const name of names) command.option(...(FLAGS[name] as [string, string]));
  return command.option("--json", "print the facts as one JSON value");
};

/** Works on the target, where ferry keeps its state, and closes the connection afterwards. @throws FERRY_USAGE, FERRY_MONGO_* */
export const withTarget = async (
  flags: Flags,
  appName: string,
  work: (client: MongoClient, stateDb: string) => Promise<void>,
): Promise<void> => {
  const { target, stateDb } = resolveSettings(flags, ["target"]);
  const client = await connectMongo(target, { appName });
  try {
    await work(client, stateDb);
  } finally {
    await client.close();
  }
};

/** Kafka Connect for a command that can wait for it, and says so when it does. */
export const patientConnect = (
  url: string,
  { giveUpAfterMs, signal }: Readonly<{ giveUpAfterMs: number; signal?: AbortSignal }>,
): ConnectRest =>
  new ConnectRest({
    url,
    clock: systemClock,
    signal,
    giveUpAfterMs,
    onRetry: (error, attempt) => {
      if (attempt === 3) process.stderr.write(`${error.detail}; waiting for Kafka Connect\n`);
    },
  });

/** The parts of a flag that takes several. */
export const commaSeparated = (text: string | undefined): readonly string[] =>
  (text ?? "")
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");

/** A count given as a flag. @throws FERRY_USAGE */
export const wholeNumber = (flag: string, text: string): number => {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new FerryError("FERRY_USAGE", `${flag} must be a whole number from 1 on, not "${text}"`);
};
