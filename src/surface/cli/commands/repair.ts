import { hostname } from "node:os";
import type { Command } from "commander";
import { livingWorkers } from "#apply/lanes/livingWorkers.ts";
import type { RepairRecord } from "#apply/repair/repairStore.ts";
import { bsonText } from "#base/bson/text.ts";
import { resolveCarrying } from "#base/config/carrying.ts";
import { readConfig } from "#base/config/readConfig.ts";

import { FerryError } from "#base/errors/ferryError.ts";
import { systemClock } from "#base/flow/clock.ts";
import { count } from "#base/flow/figures.ts";
import { switchedOver } from "#cutover/machine/switchedOver.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { replayAlone } from "#process/worker/replayAlone.ts";
import {
  askForRepair,
  awaitRepairs,
  type FoundRoute,
  foundWrong,
  type RepairDeps,
  stillWrong,
  type WrongRoute,
} from "#proof/repair/repairWrong.ts";
import { routesBack } from "#route/table/reverseRoutes.ts";
import { readSeenRun } from "#source/capture/captureLifecycle.ts";
import { print, printJson } from "#surface/terminal/output.ts";
import { openLogger } from "#surface/terminal/textLogger.ts";
import { type BothFlags, withBothSides, withCarried } from "../bothSides.ts";
import { wholeNumber, withConnections, withTarget } from "../connections.ts";
import { otherWay } from "../otherWay.ts";
import { wrongLine } from "../verifyText.ts";
import { VERSION } from "../version.ts";
import { parseWorkerOptions } from "../workerFlags.ts";

type RepairFlags = BothFlags & Readonly<{ apply?: boolean; waitSeconds: string }>;

/** Documents that are named; the others are counted. */
const SHOWN = 20;

/** `ferry repair`: writes again what verification found to be wrong. */
export const registerRepair = (command: Command): void => {
  withCarried(withConnections(command, ["source", "target", "kafka", "state"]))
    .option("--apply", "write them: the worker that owns a document's route writes the source's current document")
    .option("--reverse", "write what `ferry run --reverse` carries back; the other flags as for that")
    .option("--wait-seconds <n>", "how long to wait for the workers, seconds", "60")
    .action((flags: RepairFlags) => repair(flags.reverse === true ? otherWay(flags) : flags));
};

const repair = (flags: RepairFlags): Promise<void> =>
  withTarget(flags, "ferry repair", (target, state) =>
    withBothSides(flags, "ferry repair", { target, state }, async (deps, { hard }) => {
      const found = await foundWrong(deps);
      if (flags.apply === true) await requireUnswitched(state, found);
      const wrong = await stillWrong(found, deps);
      await (flags.apply === true ? apply(flags, deps, wrong, hard) : show(flags, wrong));
    }),
  );

const total = (found: readonly WrongRoute[]): number => found.reduce((sum, { wrong }) => sum + wrong.length, 0);

const behindOf = (found: readonly WrongRoute[]): number => found.reduce((sum, { behind }) => sum + behind, 0);

/** What has no verdict is not right. @throws FERRY_VERIFY_BEHIND */
const requireVerdicts = (found: readonly WrongRoute[]): void => {
  const behind = behindOf(found);
  if (behind > 0) throw new FerryError("FERRY_VERIFY_BEHIND", `${count(behind, "document")} found to be wrong before`);
};

/** What would be done. @throws FERRY_VERIFY_WRONG where something would, FERRY_VERIFY_BEHIND */
const show = (flags: RepairFlags, found: readonly WrongRoute[]): void => {
  if (flags.json === true) printJson({ wrong: found.flatMap(facts), behind: behindOf(found), done: [] });
  else if (found.length === 0) print("nothing is wrong that `ferry verify` has found");
  for (const { pair, wrong } of flags.json === true ? [] : found) {
    if (wrong.length > 0) print(`${pair.route}: ${count(wrong.length)} to be written again`);
    for (const one of wrong.slice(0, SHOWN)) print(wrongLine(one));
    if (wrong.length > SHOWN) print(`  … and ${count(wrong.length - SHOWN)} more`);
  }
  const wrong = total(found);
  if (wrong > 0) throw new FerryError("FERRY_VERIFY_WRONG", `${count(wrong, "document")}; --apply repairs`);
  requireVerdicts(found);
};

const facts = ({ pair, wrong }: WrongRoute): object[] =>
  wrong.map(({ key, kind, difference }) => ({
    route: pair.route,
    key: JSON.parse(bsonText(key)),
    kind,
    ...(difference === undefined ? {} : { how: difference.kind, path: difference.path }),
  }));

/** What differs where services write to the target is theirs: the source's document would take its place. @throws FERRY_REPAIR_SWITCHED */
const requireUnswitched = async (state: StateDb, found: readonly FoundRoute[]): Promise<void> => {
  const isTheirs = await switchedOver(state);
  const [first] = found.filter(({ topic }) => isTheirs(topic));
  if (first !== undefined)
    throw new FerryError("FERRY_REPAIR_SWITCHED", `services of ${first.topic} were sent to the target`);
};

/** @throws FERRY_VERIFY_WRONG for what is wrong still, FERRY_VERIFY_BEHIND, FERRY_REPAIR_WAITS where nothing carries it out */
const apply = async (
  flags: RepairFlags,
  deps: RepairDeps,
  found: readonly WrongRoute[],
  hard: AbortSignal,
): Promise<void> => {
  const ids = await askForRepair(deps, found);
  const waitMs = wholeNumber("--wait-seconds", flags.waitSeconds) * 1000;
  let records: readonly RepairRecord[] = [];
  const carriedOut = async (): Promise<void> => {
    records = await awaitRepairs(deps, ids, waitMs);
  };
  await (ids.length > 0 && (await isAlone(deps))
    ? alone(flags, deps, found, { until: carriedOut, hard })
    : carriedOut());
  const open = records.filter(({ state }) => state === "asked").length;
  const after = open > 0 ? [] : await stillWrong(found.map(writtenAgain), deps);
  const left = open + total(after);
  const behind = behindOf([...found, ...after]);
  if (flags.json === true) printJson({ wrong: found.flatMap(facts), behind, done: records.map(outcome), left });
  else if (records.length + behind > 0) for (const line of outcomeLines(records)) print(line);
  else print("nothing is wrong that `ferry verify` has found");
  if (open > 0) throw new FerryError("FERRY_REPAIR_WAITS", `${count(open)} of ${count(ids.length)}`);
  if (left > 0) throw new FerryError("FERRY_VERIFY_WRONG", `${count(left, "document")} after the repair`);
  requireVerdicts([...found, ...after]);
};

const writtenAgain = ({ pair, topic, wrong }: WrongRoute): FoundRoute => ({
  pair,
  topic,
  keys: wrong.map(({ key }) => key),
});

/** A `ferry run` that nothing runs: then this process carries its repairs out itself. */
const isAlone = async ({ state }: RepairDeps): Promise<boolean> => {
  const run = await readSeenRun(state);
  return run?.record.mode === "direct" && !run.owned && (await livingWorkers(state)) === 0;
};

const alone = async (
  flags: RepairFlags,
  { state }: RepairDeps,
  found: readonly WrongRoute[],
  { until, hard }: Readonly<{ until: () => Promise<void>; hard: AbortSignal }>,
): Promise<void> => {
  const run = await readSeenRun(state);
  if (run === undefined) return;
  const { routes: given, ddl } = await readConfig(flags.config);
  const routes = flags.reverse === true ? routesBack(given) : given;
  const { source, target, state: place, stateDb, group } = resolveCarrying(flags, routes, ["source"]);
  const host = hostname();
  await replayAlone(
    {
      ...{ state, hard, routes, ddl, host, clock: systemClock, version: VERSION },
      settings: { source, target, state: place, stateDb, group },
      options: parseWorkerOptions({}),
      logger: openLogger("warn", undefined),
      workerId: `repair-${host}-${process.pid}`,
    },
    run.record,
    found.map(({ pair, topic }) => ({ route: pair.route, topic })),
    until,
  );
};

const outcome = ({ _id, route, key, state, did, reason }: RepairRecord): object => ({
  id: _id.toHexString(),
  route,
  key: JSON.parse(bsonText(key.buffer.subarray(0, key.position))),
  state,
  ...(did === undefined ? {} : { did }),
  ...(reason === undefined ? {} : { reason }),
});

const outcomeLines = (records: readonly RepairRecord[]): string[] => {
  const did = (what: RepairRecord["did"]): number => records.filter((record) => record.did === what).length;
  return [
    `${count(did("wrote"))} written again, ${count(did("deleted"))} deleted, ${count(did("left"))} right by themselves`,
    ...records.flatMap(({ route, key, reason }) =>
      reason === undefined ? [] : [`  ${route} ${bsonText(key.buffer.subarray(0, key.position))}: ${reason}`],
    ),
  ];
};
