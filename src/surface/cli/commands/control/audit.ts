import type { Command } from "commander";
import { AuditLog, type AuditRecord } from "#process/steer/auditLog.ts";
import { print, printJson } from "#surface/terminal/output.ts";
import { table } from "#surface/terminal/textTable.ts";
import { type Flags, wholeNumber, withConnections, withState } from "../../connections.ts";

type AuditFlags = Flags & Readonly<{ limit?: string }>;

const DEFAULT_LIMIT = 100;

/** `ferry audit`: who asked for which change. */
export const registerAudit = (command: Command): void => {
  withConnections(command, ["target", "state"])
    .option("--limit <n>", "show at most this many, the newest", String(DEFAULT_LIMIT))
    .action(list);
};

const list = async (flags: AuditFlags): Promise<void> => {
  const limit = wholeNumber("--limit", flags.limit ?? String(DEFAULT_LIMIT));
  await withState(flags, "ferry audit", async (state) => {
    const records = await new AuditLog(state).list(limit);
    if (flags.json === true) printJson(records);
    else print(records.length === 0 ? "no changes" : table(records.map(row)));
  });
};

const row = ({ at, via, who, action, on, before, after }: AuditRecord): string[] => [
  at.toISOString(),
  `${who} (${via})`,
  action,
  on,
  `${JSON.stringify(before)} -> ${JSON.stringify(after)}`,
];
