import type { Command } from "commander";
import { readStackEndpoints, resolveSettings, resolveState } from "#base/config/settings.ts";
import { isFerry } from "#base/errors/ferryError.ts";
import { systemClock } from "#base/flow/clock.ts";
import { count, duration } from "#base/flow/figures.ts";
import { kafkaAddress } from "#io/kafka/address.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import { connectMongo, type MongoClient } from "#io/mongo/connect.ts";
import { type ReachDeps, reachMongo } from "#io/mongo/reach.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { connectAddress } from "#source/connect/connectAddress.ts";
import type { ConnectorConfig, ConnectRest } from "#source/connect/connectRest.ts";
import { isSourceConnector, parseConnector, readConnectorFile } from "#source/connector/connectorConfig.ts";
import { requireKnownKeys } from "#source/connector/connectorKeys.ts";
import { ConnectorStore } from "#source/connector/connectorStore.ts";
import { connectionAdvice, requireJavaTls, requirePartition } from "#source/connector/connectorTls.ts";
import { startConnector } from "#source/connector/gapFreeStart.ts";
import { translateHosts } from "#source/connector/hostNames.ts";
import { requirePlugin } from "#source/connector/startChecks.ts";
import type { StartEvent } from "#source/connector/startDeps.ts";
import { awaitRunning } from "#source/connector/startWaits.ts";
import { plainLogger, print, printJson } from "#surface/terminal/output.ts";
import { withSignals } from "#surface/terminal/signals.ts";
import { type Flags, patientConnect, withConnections } from "../connections.ts";

type CxFlags = Flags &
  Readonly<{ name?: string; plain?: boolean; acceptTopic?: boolean; acceptGaps?: boolean; replay?: boolean }>;

/** `ferry cx FILE`: creates or updates a connector; a source connector that copies gets a gap-free start. */
export const registerCx = (command: Command): void => {
  command
    .argument("<file>", "connector file, as for Connect's REST API")
    .option("--name <name>", "name of the connector (default: the name in the file)")
    .option("--plain", "only post the file, without the gap-free start")
    .option("--accept-topic", "start although the topic already has records")
    .option("--replay", "close a gap: send everything since the last good position again")
    .option("--accept-gaps", "accept the gaps that `ferry status` reports for this connector");
  withConnections(command, ["source", "target", "kafka", "connect", "state"]).action((file: string, flags: CxFlags) =>
    withSignals(({ soft }) => cx(file, flags, soft)),
  );
};

const cx = async (path: string, flags: CxFlags, signal: AbortSignal): Promise<void> => {
  const settings = resolveSettings(flags, ["connect"]);
  const say = flags.json === true ? (): void => undefined : print;
  const file = readConnectorFile(path, flags.name);
  const { config, changes } = await translateHosts(file.config, readStackEndpoints()?.names ?? {});
  for (const change of changes) say(change);
  if (isSourceConnector(config)) {
    for (const sentence of connectionAdvice(config, settings.source)) say(sentence);
    requireJavaTls(file.name, config);
    requirePartition(file.name, config);
  }
  const rest = patientConnect(connectAddress(settings), { giveUpAfterMs: 300_000, signal });
  await requirePlugin(config["connector.class"] ?? "", rest);
  await requireKnownKeys(file.name, config, rest);
  if (flags.plain === true || !isSourceConnector(config)) {
    await rest.putConfig(file.name, config);
    await awaitRunning(file.name, { rest, clock: systemClock, signal });
    if (flags.json === true) printJson({ name: file.name, outcome: "posted" });
    else
      print(
        `${file.name} is RUNNING${isSourceConnector(config) ? ": only posted; writes between its copy and its stream may be missing" : ""}`,
      );
    return;
  }
  await gapFree(file.name, config, rest, flags, signal, say);
};

const gapFree = async (
  name: string,
  config: ConnectorConfig,
  rest: ConnectRest,
  flags: CxFlags,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<void> => {
  const settings = resolveSettings(flags, ["connect", "kafka"]);
  const place = resolveState(flags);
  const capture = parseConnector(config);
  const reach = { appName: "ferry cx", clock: systemClock, logger: plainLogger, signal };
  const memory = await reachMongo(place.uri, { side: "target", ...reach });
  try {
    const source = await openSource(
      capture.uri,
      { ...reach, setting: settings.source, isFlag: (flags.source ?? flags.sourceFile) !== undefined },
      say,
    );
    try {
      await using kafka = new KafkaClient({ ...kafkaAddress(settings), clientId: "ferry-cx", group: settings.group });
      const store = new ConnectorStore(new StateDb(memory, place.stateDb));
      if (flags.acceptGaps === true)
        for (const { code, sentence } of await store.acceptAll(name)) say(`accepted ${code}: ${sentence}`);
      const progress = flags.json === true ? (): void => undefined : progressPrinter();
      const { outcome, record } = await startConnector(
        { name, capture, acceptTopic: flags.acceptTopic === true, replay: flags.replay === true },
        { rest, source, store, kafka, clock: systemClock, signal, report: progress },
      );
      if (flags.json === true)
        printJson({ name, outcome, state: record.state, kind: record.kind, topics: record.topics });
      else
        print(
          `${name} is RUNNING${outcome === "updated" ? "" : ": everything since the noted position is in the topic or on its way"}`,
        );
    } finally {
      await source.close();
    }
  } finally {
    await memory.close();
  }
};

/**
 * The database that the connector reads, as its own file names it; --source where that cannot be used from here (another
 * network, or a secret that only Connect can resolve).
 */
const openSource = async (
  uri: string,
  { setting, isFlag, ...reach }: Omit<ReachDeps, "side"> & Readonly<{ setting: string | undefined; isFlag: boolean }>,
  say: (line: string) => void,
): Promise<MongoClient> => {
  const awaited = (from: string): Promise<MongoClient> => reachMongo(from, { side: "source", ...reach });
  if (setting === undefined) return awaited(uri);
  if (isFlag || uri.includes("${")) return awaited(setting);
  try {
    return await connectMongo(uri, { appName: reach.appName, timeoutMs: 3000 });
  } catch (error) {
    if (!isFerry(error, "FERRY_MONGO_UNREACHABLE")) throw error;
    say("connection.uri cannot be reached from here; the start position is noted through the source setting");
    return awaited(setting);
  }
};

/** One line that is rewritten on a terminal; elsewhere a line every five seconds. */
const progressPrinter = (): ((event: StartEvent) => void) => {
  const terminal = process.stdout.isTTY;
  let open = false;
  let last = 0;
  return (event) => {
    if (event.kind === "said") {
      if (open) process.stdout.write("\n");
      open = false;
      print(event.sentence);
      return;
    }
    const { copied, expected, perSecond } = event;
    const rest =
      perSecond > 0 && expected > copied ? `, ${duration(((expected - copied) / perSecond) * 1000)} left` : "";
    const share = expected > 0 ? ` (${Math.min(100, Math.floor((copied / expected) * 100))} %)` : "";
    const line = `copying: ${count(copied)} of about ${count(expected)} records${share}, ${count(perSecond)}/s${rest}`;
    if (terminal) {
      process.stdout.write(`\r\x1b[K${line}`);
      open = true;
    } else if (systemClock.now() - last > 5000) {
      last = systemClock.now();
      print(line);
    }
  };
};
