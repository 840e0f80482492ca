import type { Command } from "commander";
import { resolveCarrying } from "#base/config/carrying.ts";
import { isMongo } from "#base/config/destination.ts";
import { readConfig } from "#base/config/readConfig.ts";
import type { Route } from "#base/config/routes.ts";
import { resolveSettings, type Settings } from "#base/config/settings.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { systemClock } from "#base/flow/clock.ts";
import { databasesNamed, NamespaceFilter, watchedDatabase } from "#base/flow/namespaceFilter.ts";
import { parseNamespace } from "#base/flow/types.ts";
import { kafkaAddress } from "#io/kafka/address.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import { connectMongo, type MongoClient } from "#io/mongo/connect.ts";
import { ignoredText } from "#io/mongo/reach.ts";
import { ferryUri } from "#io/mongo/uriOptions.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { reverseState } from "#process/capture/stateNames.ts";
import type { AskedOfTargets } from "#sink/open/demands.ts";
import { connectAddress } from "#source/connect/connectAddress.ts";
import { ConnectRest } from "#source/connect/connectRest.ts";
import { ConnectorStore } from "#source/connector/connectorStore.ts";
import type { PlanDeps } from "#structure/operations/structureOperations.ts";
import { print, printJson } from "#surface/terminal/output.ts";
import { bucketsIn, checkSource, checkStateAlone, checkStatePlace, checkTarget } from "#tools/check/checkDatabases.ts";
import { checkFence } from "#tools/check/checkFence.ts";
import { checkFits } from "#tools/check/checkFits.ts";
import { checkConnect, checkKafka } from "#tools/check/checkKafka.ts";
import { type CheckResult, checking } from "#tools/check/checkResult.ts";
import { checkSinks } from "#tools/check/checkSinks.ts";
import { checkStructure } from "#tools/check/checkStructure.ts";
import { checkSwitch } from "#tools/check/checkSwitch.ts";
import { checkContainers } from "#tools/stack/containerChecks.ts";
import { type Flags, withConnections } from "../connections.ts";
import { type NamesFlags, namesIn, withNames } from "../namesFlags.ts";
import { printRights, type Rights, type RightsFlags, withRights } from "../rights.ts";
import { parseWorkerOptions, withWorkerOptions } from "../workerFlags.ts";

type CheckFlags = Flags &
  NamesFlags &
  RightsFlags &
  Readonly<{
    ns?: string;
    config?: string;
    conflict?: string;
    deltas?: string;
    containers?: boolean;
    createAttributes?: boolean;
  }>;

/** `ferry check`: can this migration work, and what would stop it? */
export const registerCheck = (command: Command): void => {
  command
    .option("--ns <db.collection>", "collection to migrate (default: those of the routes, else everything)")
    .option("--containers", "check only what compose.yaml needs: a Docker engine, memory, free ports")
    .option("--config <file>", "routes and their rules (default: ferry.yaml here, if it exists)")
    .option("--create-attributes", "add to Cognito pools the custom attributes that routes name and they lack");
  withWorkerOptions(command, { only: ["conflict", "deltas"] });
  withNames(withRights(command), {
    include:
      "namespaces whose structure and privileges to check (default: those of the routes, else --ns, else everything)",
    exclude: "namespaces to skip",
  });
  withConnections(command, ["source", "target", "kafka", "connect", "state"]).action(check);
};

/** @throws FERRY_USAGE */
const nsOf = (ns: string | undefined): string => {
  if (ns === undefined) return "*";
  const { db, coll } = parseNamespace(ns);
  if (db !== "" && coll !== "") return ns;
  throw new FerryError("FERRY_USAGE", `--ns must be a collection such as test.users, not "${ns}"`);
};

/** Names on both sides: of what the flags name, else of the routes, else of `--ns`. */
const namesOf = async ({ config, ns, ...flags }: CheckFlags): Promise<Pick<Rights, "from" | "to">> => {
  const { include: named } = namesIn(flags);
  const { routes } = named.length > 0 ? {} : await readConfig(config);
  const from = routes?.map(({ from }) => from) ?? (named.length > 0 ? named : [nsOf(ns)]);
  return { from, to: routes?.filter(isMongo).map(({ to }) => to.mongodb) ?? from };
};

/** The routes that are meant, and what a run or a worker with these settings asks of their targets. */
const meantBy = async (
  { config, conflict, deltas, ...flags }: CheckFlags,
  { source, kafka }: Partial<Settings>,
): Promise<Readonly<{ routes: readonly Route[] | undefined; asked: AskedOfTargets }>> => {
  const { routes, ddl } = await readConfig(config);
  const names = new NamespaceFilter(namesIn(flags));
  return {
    routes: routes?.filter(({ from }) => names.has(parseNamespace(from))),
    // Only a worker, which reads from Kafka, may have no source.
    asked: { ...parseWorkerOptions({ conflict, deltas }), ddl, source: source !== undefined || kafka === undefined },
  };
};

const ANSWER_MS = 5000;

/** A database that does not answer is a failed check, not the end of the others. */
const connectOrSay = async (
  area: "source" | "target" | "state",
  uri: string | undefined,
  results: CheckResult[],
): Promise<MongoClient | undefined> => {
  let client: MongoClient | undefined;
  if (uri === undefined) return undefined;
  const failed = await checking(area, async (say) => {
    const { ignored } = ferryUri(uri);
    if (ignored.length > 0) say("ok", ignoredText(area, ignored));
    client = await connectMongo(uri, { appName: "ferry check", timeoutMs: ANSWER_MS });
  });
  results.push(...failed);
  return client;
};

const show = (results: readonly CheckResult[], { json }: CheckFlags): void => {
  if (json === true) printJson(results);
  else print(results.map(formatResult).join("\n"));
  if (results.some(({ level }) => level === "fail")) process.exitCode = 1;
};

const check = async (flags: CheckFlags): Promise<void> => {
  if (flags.containers === true) {
    show(
      (await checkContainers()).map((result) => ({ area: "docker", ...result })),
      flags,
    );
    return;
  }
  const settings = resolveSettings(flags, []);
  const names = await namesOf(flags);
  const watched = watchedDatabase(databasesNamed(names.from));
  if (printRights(flags, { ...names, ...settings, bootstrap: settings.kafka ?? "localhost:9092" })) return;
  if ([settings.source, settings.target, settings.kafka, settings.connect].every((setting) => setting === undefined))
    throw new FerryError("FERRY_USAGE", "there is nothing to check: give --source, --target, --kafka or --connect");
  const meant = await meantBy(flags, settings);
  const results: CheckResult[] = [];
  const [source, target] = await Promise.all([
    connectOrSay("source", settings.source, results),
    connectOrSay("target", settings.target, results),
  ]);
  const apart = await connectOrSay("state", settings.state, results);
  const memory = settings.state === undefined ? target : apart;
  const state = memory && new StateDb(memory, settings.stateDb);
  const options = { ...kafkaAddress(settings), clientId: "ferry-check", group: settings.group };
  const kafka = settings.kafka === undefined ? undefined : new KafkaClient(options);
  try {
    if (source !== undefined) results.push(...(await checkSource(source, watched)));
    const buckets = source === undefined ? [] : await bucketsIn(source, watched).catch(() => []); // said of the source
    if (target !== undefined)
      results.push(...(await checkTarget(target, databasesNamed(names.to), settings.stateDb, buckets)));
    results.push(...(await checkState(flags, meant.routes, { target, apart, stateDb: settings.stateDb })));
    results.push(...(await checkFits(meant.routes, meant.asked, { target, apart })));
    if (source !== undefined && target !== undefined && state !== undefined)
      results.push(
        ...(await checkBoth(flags, { source, target, state })),
        ...(await checkFences(source, target, state)),
        ...(await checkSwitch({
          ...{ source, target, stateDb: settings.stateDb },
          ...{ from: databasesNamed(names.from), to: databasesNamed(names.to) },
        })),
      );
    const { routes = [] } = await readConfig(flags.config);
    results.push(...(await checkSinks(routes, { source, createAttributes: flags.createAttributes === true })));
    if (kafka !== undefined) results.push(...(await checkKafka(kafka, options)));
    if (settings.connect !== undefined) {
      const rest = new ConnectRest({ ...connectAddress(settings), clock: systemClock, giveUpAfterMs: ANSWER_MS });
      const store = state && new ConnectorStore(state);
      results.push(...(await checkConnect({ rest, clock: systemClock, source, kafka, store })));
    }
    show(results, flags);
  } finally {
    await Promise.allSettled([source?.close(), target?.close(), apart?.close(), kafka?.[Symbol.asyncDispose]()]);
  }
};

/** Where ferry's own database is, if not on the target. */
const checkState = async (
  flags: CheckFlags,
  routes: readonly Route[] | undefined,
  { target, apart, stateDb }: Readonly<Record<"target" | "apart", MongoClient | undefined> & { stateDb: string }>,
): Promise<CheckResult[]> => {
  if (apart !== undefined) return target ? checkStatePlace(apart, target) : checkStateAlone(apart, stateDb);
  if (target !== undefined || routes === undefined || routes.some(isMongo)) return [];
  return checking("state", async () => void resolveCarrying(flags, routes, []));
};

/** Of a cutover, and of a rollback, whose run remembers on the former source. */
const checkFences = async (source: MongoClient, target: MongoClient, state: StateDb): Promise<CheckResult[]> => {
  const back = new StateDb(source, reverseState(state.name));
  const there = { client: source, side: "the source", other: "the target", state, by: "cutover" } as const;
  const backAgain = { client: target, side: "the target", other: "the source", state: back, by: "rollback" } as const;
  return [...(await checkFence(there)), ...(await checkFence(backAgain))];
};

/** The structure of what the flags name, else of the routes, else of `--ns`. */
const checkBoth = async (
  { config, ns, ...flags }: CheckFlags,
  sides: Pick<PlanDeps, "source" | "target" | "state">,
): Promise<CheckResult[]> => {
  const { routes } = await readConfig(config);
  const { include: named, exclude } = namesIn(flags);
  const guess = routes === undefined && named.length === 0 ? [nsOf(ns)] : named;
  return checkStructure({ ...sides, routes, include: guess, exclude }, routes !== undefined || named.length > 0);
};

const MARKS = { ok: "ok  ", warn: "warn", fail: "FAIL" } as const;

const formatResult = ({ area, level, sentence, remedy }: CheckResult): string => {
  const line = `${MARKS[level]}  ${area.padEnd(9)}  ${sentence}`;
  return remedy === undefined ? line : `${line}\n      ${remedy.replaceAll("\n", "\n      ")}`;
};
