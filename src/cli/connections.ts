import type { Command } from "commander";
import type { Settings } from "#config/settings.ts";

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
