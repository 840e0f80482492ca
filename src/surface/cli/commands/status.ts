import type { Command } from "commander";
import { resolveSettings, type Settings } from "#base/config/settings.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { systemClock } from "#base/flow/clock.ts";
import { connectMongo, type MongoClient } from "#io/mongo/connect.ts";
import { requireState } from "#io/state/knownState.ts";
import { StateDb } from "#io/state/stateDb.ts";
import type { UnreadPart } from "#process/report/readingParts.ts";
import { readStatus, type StatusDeps, statusFacts } from "#process/report/status.ts";
import { print, printJson } from "#surface/terminal/output.ts";
import { exitOf } from "#surface/terminal/statusSummary.ts";
import { type Flags, withConnections } from "../connections.ts";
import { ANSWER_MS, connectorParts, statusConnect, statusKafka } from "../statusParts.ts";
import { formatStatus, statusWithin } from "../statusText.ts";
import { watchStatus } from "../statusWatch.ts";

type StatusFlags = Flags & Readonly<{ watch?: boolean }>;

/** `ferry status`: topics, connectors, end offsets, lanes, workers, and what is wrong. */
export const registerStatus = (command: Command): void => {
  withConnections(command, ["source", "target", "kafka", "connect", "state"])
    .option("--watch", "show it as it changes, on the whole terminal, until q or Ctrl-C; a line each 10 s elsewhere")
    .action(status);
};

const CLOSE_MS = 1000;

/** For who reads it: no wider than this. A program gets lines as they are. */
const COLUMNS = 100;

/** A `ferry run` has neither Kafka nor Connect, and a `ferry capture` has no Connect: then the target is enough. @throws FERRY_USAGE */
const readSettings = (flags: Flags): ReturnType<typeof resolveSettings<never>> => {
  const settings = resolveSettings(flags, []);
  const isOwn = settings.connect === undefined && (settings.state ?? settings.target) !== undefined;
  return isOwn ? settings : resolveSettings(flags, ["kafka", "connect"]);
};

const status = async (flags: StatusFlags): Promise<void> => {
  if (flags.watch === true && flags.json === true)
    throw new FerryError("FERRY_USAGE", "--watch and --json exclude each other; `ferry control` sends events as JSON");
  await withParts(readSettings(flags), async (parts, unread) => {
    if (flags.watch === true) return watchStatus(parts, unread);
    const status = await readStatus(parts);
    const found = { ...status, unread: [...unread, ...status.unread] };
    const { isTTY, columns } = process.stdout;
    if (flags.json === true) printJson(statusFacts(found));
    else print(isTTY ? statusWithin(formatStatus(found), Math.min(COLUMNS, columns)) : formatStatus(found));
    process.exitCode = exitOf(found);
  });
};

/** Connects what is known; what does not answer is handed over as unread. */
const withParts = async (
  settings: Partial<Settings> & Pick<Settings, "stateDb" | "group">,
  work: (parts: StatusDeps, unread: readonly UnreadPart[]) => Promise<void>,
): Promise<void> => {
  const unread: UnreadPart[] = [];
  const open = async (part: string, uri: string | undefined): Promise<MongoClient | undefined> => {
    try {
      return uri === undefined
        ? undefined
        : await connectMongo(uri, { appName: "ferry status", timeoutMs: ANSWER_MS, answerMs: ANSWER_MS });
    } catch (error) {
      unread.push({ part, reason: error instanceof Error ? error.message : String(error) });
      return undefined;
    }
  };
  const place = settings.state === undefined ? "target" : "state";
  const [source, memory] = await Promise.all([open("source", settings.source), open(place, settings[place])]);
  const state = memory && new StateDb(memory, settings.stateDb);
  try {
    if (state !== undefined)
      await requireState(state).catch((error: unknown) => {
        if (!isFerry(error) || error.code === "FERRY_USAGE") throw error;
        unread.push({ part: place, reason: error.message });
      });
    await using kafka = statusKafka(settings, "ferry-status");
    const rest = statusConnect(settings);
    const capture = kafka && rest && connectorParts({ kafka, rest, source, state });
    await work({ kafka, state, capture }, unread);
  } finally {
    // One that does not answer would not let go either.
    const closed = Promise.allSettled([source?.close(), memory?.close()]);
    await Promise.race([closed, systemClock.sleep(CLOSE_MS)]);
  }
};
