import type { Command } from "commander";
import { readConfig } from "#base/config/readConfig.ts";
import { resolveSettings } from "#base/config/settings.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { systemClock } from "#base/flow/clock.ts";
import { duration } from "#base/flow/figures.ts";
import { formatNamespace } from "#base/flow/types.ts";
import { connectMongo, type MongoClient } from "#io/mongo/connect.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { requireUnfinished } from "#process/capture/runLifecycle.ts";
import { commandOf, readSeenRun } from "#source/capture/captureLifecycle.ts";
import { readCapture } from "#source/capture/captureStore.ts";
import { readDeployment, requireSameSource } from "#source/stream/deployment.ts";
import { namespaceOf, type StructureEvent, stepText } from "#structure/build/build.ts";
import { progressText } from "#structure/build/buildProgress.ts";
import { wantedIn } from "#structure/model/model.ts";
import type { DdlRecord, StructureRecord } from "#structure/model/structureRecords.ts";
import {
  buildStructure,
  finalize,
  planOf,
  requireComplete,
  type StructureDeps,
  type StructurePlan,
} from "#structure/operations/structureOperations.ts";
import { StructureStore } from "#structure/plan/structureStore.ts";
import type { StructureFinding } from "#structure/plan/wanted.ts";
import { NO_VIEW, openLiveView } from "#surface/live/liveView.ts";
import { StructurePicture } from "#surface/live/structurePicture.ts";
import { print, printJson } from "#surface/terminal/output.ts";
import { withSignals } from "#surface/terminal/signals.ts";
import { table } from "#surface/terminal/textTable.ts";
import { type Flags, withConnections, withPlaces, withState } from "../connections.ts";
import { type NamesFlags, namesIn, withNames } from "../namesFlags.ts";

type StructureFlags = Flags & NamesFlags & Readonly<{ config?: string; replaceTarget?: boolean; ddl?: string }>;

const withSelection = (command: Command): Command =>
  withNames(
    withConnections(command, ["source", "target", "state"]).option(
      "--config <file>",
      "routes and their rules (default: ferry.yaml here, if it exists)",
    ),
    {
      include: "namespaces of the source, 'shop' for a whole database, '*' for all",
      exclude: "namespaces to skip",
    },
  );

const DDL_SHOWN = 20;

/** `ferry structure`: collections, options, indexes and views: shown, built before the data, finished after it. */
export const registerStructure = (command: Command): void => {
  withSelection(command.command("plan"))
    .description("show what would be built and what is not possible; writes nothing")
    .option("--replace-target", "plan as if the selected target namespaces were empty")
    .action(plan);
  withSelection(command.command("build"))
    .description("build the structure before the data; unique indexes, TTL and validators are deferred")
    .option("--replace-target", "drop the selected target namespaces first, and restart their routes")
    .action(build);
  withSelection(command.command("finalize"))
    .description("after the last write: restore deferred constraints (unique, TTL, validators, capped collections)")
    .action(finish);
  withConnections(command.command("approve"), ["target", "state"])
    .description("approve a held drop; then restart the worker")
    .argument("<id>", "id of the change: route/partition/offset, as `status` shows it")
    .action(approve);
  withConnections(command.command("status"), ["target", "state"])
    .description("show what is built, deferred or failed, and which changes of the source were followed")
    .action(status);
};

type StructureSides = Readonly<{ source: MongoClient | undefined; target: MongoClient; state: StateDb }>;

const connected = (
  flags: StructureFlags,
  work: (sides: StructureSides, signal: AbortSignal) => Promise<void>,
): Promise<void> =>
  withPlaces(flags, "ferry structure", async (target, state) => {
    const { source: uri } = resolveSettings(flags, []);
    const source =
      uri === undefined ? undefined : await connectMongo(uri, { side: "source", appName: "ferry structure" });
    try {
      await withSignals(({ soft }) => work({ source, target, state }, soft));
    } finally {
      await source?.close();
    }
  });

const wiring = async (
  flags: StructureFlags,
  { target, state }: StructureSides,
  signal: AbortSignal,
): Promise<Omit<StructureDeps, "source">> => ({
  target,
  state,
  journal: new StructureStore(state),
  routes: (await readConfig(flags.config)).routes,
  ...namesIn(flags),
  clock: systemClock,
  signal,
  report: flags.json === true ? () => undefined : (event) => say(event),
});

/** With both sides. @throws FERRY_USAGE where one is not given */
const withBoth = async (flags: StructureFlags, work: (deps: StructureDeps) => Promise<void>): Promise<void> => {
  resolveSettings(flags, ["source", "target"]);
  await connected(flags, async (sides, signal) => {
    if (sides.source !== undefined) await work({ ...(await wiring(flags, sides, signal)), source: sides.source });
  });
};

const say = ({ ns, does, state, ms = 0, reason, progress }: StructureEvent): void => {
  if (state === "begins") return;
  if (state === "progress") {
    if (progress !== undefined) print(`...     ${ns}  ${does}  ${progressText(progress)}`);
    return;
  }
  const why = reason === undefined ? "" : `: ${reason}`;
  print(`${state === "done" ? "ok    " : "FAILED"}  ${ns}  ${does}  ${duration(ms)}${why}`);
};

const plan = (flags: StructureFlags): Promise<void> =>
  withBoth(flags, async (deps) => {
    const found = await planOf(deps, { replace: flags.replaceTarget === true });
    if (flags.json === true) printJson(planFacts(found));
    else print(planText(found));
    if (found.findings.some(({ level }) => level === "refused")) process.exitCode = 1;
  });

const planFacts = ({ steps, findings }: StructurePlan): object => ({
  steps: steps.map((step) => ({
    ns: formatNamespace(namespaceOf(step)),
    do: step.do,
    does: stepText(step),
    ...("item" in step ? { from: step.item.from, index: step.item.index, held: step.item.held } : {}),
  })),
  findings,
});

const LEVELS: Readonly<Record<StructureFinding["level"], string>> = {
  refused: "REFUSED ",
  "left-out": "left out",
  note: "note    ",
};

const planText = ({ steps, findings }: StructurePlan): string => {
  const lines: string[] = [];
  let last = "";
  for (const step of steps) {
    const ns = formatNamespace(namespaceOf(step));
    if (ns !== last) lines.push(ns);
    last = ns;
    lines.push(`    ${stepText(step)}`);
  }
  if (steps.length === 0) lines.push("nothing to do");
  for (const { level, ns, index, reason } of findings)
    lines.push(`${LEVELS[level]}  ${ns}${index === undefined ? "" : ` (${index})`}: ${reason}`);
  return lines.join("\n");
};

/**
 * A run in one process has no log to replay: it would continue after what was dropped. The topics of one that is finalized
 * end there. @throws FERRY_CAPTURE_OTHER, FERRY_RUN_FINALIZED, FERRY_RUN_FINALIZING
 */
const requireWholeLog = async ({ state }: StructureDeps): Promise<void> => {
  const capture = await readCapture(state);
  if (capture?.mode === "direct")
    throw new FerryError("FERRY_CAPTURE_OTHER", "this target is fed by `ferry run`: use `ferry run --replace-target`");
  if (capture !== undefined) requireUnfinished(capture, true);
};

/** Shows itself while it works, on a terminal. */
const shown = async <D extends Pick<StructureDeps, "report">, T>(
  flags: StructureFlags,
  deps: D,
  work: (deps: D) => Promise<T>,
): Promise<T> => {
  const picture = new StructurePicture(systemClock.now());
  using _view = flags.json === true ? NO_VIEW : openLiveView(picture.at, { leaves: false });
  const report: StructureDeps["report"] = (event) => {
    picture.tell(event);
    deps.report(event);
  };
  return await work({ ...deps, report });
};

const build = (flags: StructureFlags): Promise<void> =>
  withBoth(flags, async (deps) => {
    if (flags.replaceTarget === true) await requireWholeLog(deps);
    const { plan: done, failures } = await shown(flags, deps, (telling) =>
      buildStructure(telling, { replace: flags.replaceTarget === true }),
    );
    if (flags.json === true) printJson({ ...planFacts(done), failures });
    else print(`${done.steps.length} steps, ${failures.length} failed`);
    requireComplete(failures);
  });

/** An active run restores constraints itself, after its drain. @throws FERRY_RUN_ALIVE */
const requireNoWorkers = async ({ state }: StructureSides): Promise<void> => {
  const run = await readSeenRun(state);
  if (run?.owned !== true) return;
  const { record } = run;
  throw new FerryError("FERRY_RUN_ALIVE", `${record.owner} (${commandOf(record)}) carries documents to this target`);
};

/** What is built at the end comes from the source that the run began with. @throws FERRY_CAPTURE_OTHER */
const requireRunsSource = async ({ source, state }: StructureSides): Promise<void> => {
  const run = await readSeenRun(state);
  if (run !== undefined && source !== undefined) requireSameSource(run.record.source, await readDeployment(source));
};

const finish = (flags: StructureFlags): Promise<void> =>
  connected(flags, async (sides, signal) => {
    await requireNoWorkers(sides);
    await requireRunsSource(sides);
    const given = await wiring(flags, sides, signal);
    // What builds were asked for, unless this command is asked for something else.
    const named = given.include.length > 0 || given.exclude.length > 0;
    const failures = await shown(flags, given, (telling) =>
      finalize({ ...telling, source: sides.source }, named ? given : undefined),
    );
    const records = await given.journal.all();
    if (flags.json === true) printJson({ records: records.map(recordFacts), failures });
    else if (failures.length > 0) print(statusText(records.filter(({ state }) => state === "failed")));
    requireComplete(failures);
    if (flags.json !== true) print(`${records.length} collections, indexes and views are as on the source`);
  });

const approve = (id: string, flags: StructureFlags): Promise<void> =>
  withState(flags, "ferry structure", async (state) => {
    if (!(await new StructureStore(state).approve(id)))
      throw new FerryError("FERRY_USAGE", `no change ${id} is held; \`ferry structure status\` shows those that are`);
    if (flags.json === true) printJson({ approved: id });
    else print(`${id} is approved: it is applied when a worker is started`);
  });

const recordFacts = ({ _id, wanted, exact, ...rest }: StructureRecord): object => ({
  ns: _id.ns,
  index: _id.index,
  wanted: wantedIn({ wanted, ...(exact && { exact }) }),
  ...rest,
});

const ddlFacts = ({ _id, at, ...rest }: DdlRecord): object => ({
  id: _id,
  clusterTime: at.getHighBitsUnsigned(),
  ...rest,
});

const statusText = (records: readonly StructureRecord[]): string =>
  records
    .flatMap(({ _id, kind, state, held, reason, duplicates = [] }) => [
      table([
        [
          state.padEnd(7),
          _id.index === "" ? `${_id.ns} (${kind})` : `${_id.ns} index ${_id.index}`,
          held.length === 0 ? "" : `until finalize without ${held.join(", ")}`,
          reason ?? "",
        ],
      ]).trimEnd(),
      ...duplicates.map(({ values, ids, count }) => `           ${count}× ${values}: _id ${ids.join(", ")}`),
    ])
    .join("\n");

const ddlText = ({ _id, ns, kind, outcome, approvedAt, steps, notedAt }: DdlRecord): string => {
  const approved = approvedAt === undefined ? "" : ", approved";
  const what = outcome === "held" ? [`held${approved}`, _id] : [outcome, ...steps];
  return `${notedAt.toISOString()}  ${ns}  ${kind}  ${what[0]}${what.length > 1 ? `: ${what.slice(1).join("; ")}` : ""}`;
};

const status = (flags: StructureFlags): Promise<void> =>
  withState(flags, "ferry structure", async (state) => {
    const store = new StructureStore(state);
    const [records, ddl] = [await store.all(), await store.ddl(DDL_SHOWN)];
    if (flags.json === true) printJson({ records: records.map(recordFacts), ddl: ddl.map(ddlFacts) });
    else {
      print(records.length === 0 ? "no structure was built by ferry" : statusText(records));
      for (const record of ddl) print(ddlText(record));
    }
  });
