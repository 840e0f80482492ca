import { hostname } from "node:os";
import { type Command, Option } from "commander";
import { readConfig } from "#base/config/routes.ts";
import { resolveSettings } from "#base/config/settings.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { systemClock } from "#base/flow/clock.ts";
import { listed } from "#base/flow/namespaceFilter.ts";
import { assemble } from "#cutover/assemble.ts";
import { CutoverStore } from "#cutover/cutoverStore.ts";
import { isEnd, mayHaveReleased } from "#cutover/cutoverTable.ts";
import { type FenceChoice, parseFence } from "#cutover/fence.ts";
import { Machine, type MachineDeps } from "#cutover/machine.ts";
import type { Parts, Watchman } from "#cutover/parts.ts";
import { unready } from "#cutover/readiness.ts";
import type { CutoverRecord, Seen } from "#cutover/record.ts";
import { RehearsalStore, rehearse } from "#cutover/rehearsal.ts";
import { cutoverFacts, pauseOf, pauseText } from "#cutover/report.ts";
import { watch } from "#cutover/watch.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { reachMongo } from "#io/mongo/reach.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { RunControl } from "#source/capture/captureLifecycle.ts";
import { readDeployment, requireSameSource } from "#source/stream/deployment.ts";
import { clusterTime } from "#source/stream/sourceProbe.ts";
import { requireComplete } from "#structure/operations/structureOperations.ts";
import { plainLogger, print, printAside, printJson } from "#surface/terminal/output.ts";
import { withSignals } from "#surface/terminal/signals.ts";
import { type Flags, withConnections, withTarget } from "../connections.ts";
import { milliseconds } from "../timeFlag.ts";
import { NO_WATCHMAN, SecondProcess, WATCHING } from "../watchman.ts";

type CutoverFlags = Flags &
  Readonly<{
    config?: string;
    namespace?: string;
    fence?: string;
    onRelease?: string;
    maxPause: string;
    maxLag: string;
    accept?: string;
    ready?: boolean;
    rehearse?: boolean;
    abort?: boolean;
    allowBoth?: boolean;
    watch?: string;
  }>;

/** `ferry cutover`: services change over to the target, with a pause that is measured. */
export const registerCutover = (command: Command): void => {
  withConnections(command, ["source", "target", "kafka", "state"])
    .option(
      "--namespace <names>",
      "switch only these, comma-separated; the others keep streaming (default: everything)",
    )
    .option(
      "--fence <kind>",
      "what stops writers of the source: user-write-block, validator, hook:COMMAND, or none (default: user-write-block; with --namespace validator)",
    )
    .option("--on-release <command>", "command that sends services to the target; exit status 0: they were sent")
    .option("--max-pause <time>", "lift the fence if the pause would be longer", "5s")
    .option("--max-lag <time>", "start only if the oldest pending change is not older", "2s")
    .option("--accept <codes>", "error codes to accept, comma-separated: what they stand for stays missing")
    .option("--config <file>", "routes and their rules (default: ferry.yaml here, if it exists)")
    .option("--ready", "only print what is missing")
    .option("--rehearse", "do everything except the fence, and predict the pause")
    .option("--abort", "undo: lift a fence that was left")
    .option("--allow-both", "with --abort: lift the fence although services were sent to the target")
    .addOption(new Option("--watch <id>").hideHelp())
    .action(cutover);
};

/** How soon a process that does not answer counts as gone, ms. */
const LEASE_MS = 2000;

type Sides = Readonly<{ source: MongoClient; target: MongoClient; state: StateDb; kafka: KafkaClient | undefined }>;

const connected = (flags: CutoverFlags, work: (sides: Sides, signal: AbortSignal) => Promise<void>): Promise<void> =>
  withTarget(flags, "ferry cutover", (target, state) =>
    withSignals(async ({ soft: signal }) => {
      const { source: uri, kafka: bootstrap, group } = resolveSettings(flags, ["source"]);
      await using clients = new AsyncDisposableStack();
      const waiting = { clock: systemClock, logger: plainLogger, signal };
      const source = await reachMongo(uri, { side: "source", appName: "ferry cutover", ...waiting });
      clients.defer(() => source.close());
      const run = await new RunControl(state).read();
      if (run === undefined) throw new FerryError("FERRY_RUN_NONE", "there is no run on this target");
      requireSameSource(run.record.source, await readDeployment(source));
      if (run.record.mode === "kafka") resolveSettings(flags, ["kafka"]);
      const kafka =
        run.record.mode === "kafka" && bootstrap !== undefined
          ? clients.use(new KafkaClient({ bootstrap, clientId: "ferry-cutover", group }))
          : undefined;
      await work({ source, target, state, kafka }, signal);
    }),
  );

type Choice = Readonly<{ named: readonly string[]; fence: FenceChoice; maxPauseMs: number }>;

const choiceOf = (flags: CutoverFlags): Choice => {
  const named = listed(flags.namespace ?? "");
  const fence = parseFence(flags.fence ?? (named.length === 0 ? "user-write-block" : "validator"));
  return { named, fence, maxPauseMs: milliseconds("--max-pause", flags.maxPause) };
};

const partsFor = (
  flags: CutoverFlags,
  sides: Sides,
  { named, fence }: Pick<Choice, "named" | "fence">,
  signal: AbortSignal,
  watchman: Watchman = NO_WATCHMAN,
): Parts =>
  assemble({
    ...sides,
    ...{ named, fence, watchman, signal, clock: systemClock, logger: plainLogger },
    routes: readConfig(flags.config).routes,
    onRelease: flags.onRelease,
    accepted: listed(flags.accept ?? ""),
    maxLagMs: milliseconds("--max-lag", flags.maxLag),
    tell: flags.json === true ? () => undefined : print,
  });

const machineDeps = (
  flags: CutoverFlags,
  { state }: Sides,
  parts: Parts,
  signal: AbortSignal,
): MachineDeps & Readonly<{ memory: CutoverStore }> => ({
  memory: new CutoverStore(state, `${hostname()}/${process.pid}`, LEASE_MS),
  parts,
  clock: systemClock,
  signal,
  leaseMs: LEASE_MS,
  report: ({ state }) => {
    if (flags.json !== true && flags.watch === undefined) print(DOES[state] ?? state);
  },
  onRetry: ({ detail }) => printAside(`${detail}; trying again`),
});

const DOES: Partial<Record<CutoverRecord["state"], string>> = {
  checking: "checking what is missing",
  approaching: "approaching: positions move within milliseconds now",
  fencing: "fencing the source",
  draining: "fenced: the last changes arrive",
  proving: "drained: looking whether anything is missing",
  restoring: "proven: validators and time limits return on the target",
  releasing: "releasing services",
  ending: "released: services write to the target; what takes longer is done now",
  lifting: "going back: lifting the fence",
};

/** What a cutover of another process was fenced with; its command is not in the record. @throws FERRY_CUTOVER_FENCE */
const fenceIn = ({ _id, fence: kind }: CutoverRecord, given: FenceChoice): FenceChoice => {
  if (kind !== "hook") return { kind };
  if (given.kind === "hook") return given;
  throw new FerryError(
    "FERRY_CUTOVER_FENCE",
    `cutover ${_id} is fenced by a command: give the same --fence hook:COMMAND`,
  );
};

const cutover = (flags: CutoverFlags): Promise<void> => {
  const choice = choiceOf(flags); // said before anything is connected
  return connected(flags, (sides, signal) => {
    if (flags.watch !== undefined) return watchOver(flags, sides, Number(flags.watch), choice);
    if (flags.abort === true) return abort(flags, sides, choice, signal);
    if (flags.ready === true) return tellReady(flags, sides, choice, signal);
    if (flags.rehearse === true) return tellRehearsal(flags, sides, choice, signal);
    return drive(flags, sides, choice, signal);
  });
};

const watchOver = async (flags: CutoverFlags, sides: Sides, id: number, choice: Choice): Promise<void> => {
  const { signal } = new AbortController();
  const parts = partsFor(flags, sides, choice, signal);
  print(WATCHING);
  await watch({ ...machineDeps(flags, sides, parts, signal), id });
};

/** A cutover whose process is gone comes to its end first. @returns it, where services may have been sent to the target */
const finishFormer = async (
  flags: CutoverFlags,
  sides: Sides,
  { fence }: Choice,
  signal: AbortSignal,
): Promise<CutoverRecord | undefined> => {
  const store = new CutoverStore(sides.state, `${hostname()}/${process.pid}`, LEASE_MS);
  const former = await store.latest();
  if (former === undefined || isEnd(former.record.state)) return undefined;
  const { record, pausedMs } = await store.take(former.record, "lease");
  const kept = { named: record.namespaces, fence: fenceIn(record, fence) };
  const parts = partsFor(flags, sides, kept, signal);
  const ended = await new Machine(machineDeps(flags, sides, parts, signal), { pausedMs }).resume(record);
  if (ended.state === "over") return ended;
  if (flags.json !== true) print(`cutover ${ended._id} was left behind by a process that is gone; it was taken back`);
  return undefined;
};

const drive = async (flags: CutoverFlags, sides: Sides, choice: Choice, signal: AbortSignal): Promise<void> => {
  const finished = await finishFormer(flags, sides, choice, signal);
  if (finished !== undefined) return tellEnd(flags, finished);
  const { named, fence, maxPauseMs } = choice;
  const store = new CutoverStore(sides.state, `${hostname()}/${process.pid}`, LEASE_MS);
  const begun = await store.begin({ fence: fence.kind, namespaces: [...named], maxPauseMs });
  const second = new SecondProcess([...process.argv.slice(2), "--watch", String(begun.record._id)]);
  const parts = partsFor(flags, sides, choice, signal, second);
  const deps = { ...machineDeps(flags, sides, parts, signal), memory: store };
  tellEnd(flags, await ended(new Machine(deps, begun), begun, store, signal));
};

/** Where the second process took it over, it comes to an end there. */
const ended = async (
  machine: Machine,
  { record }: Seen,
  store: CutoverStore,
  signal: AbortSignal,
): Promise<CutoverRecord> => {
  try {
    return await machine.run(record);
  } catch (error) {
    if (!isFerry(error, "FERRY_CUTOVER_TAKEN")) throw error;
    for (;;) {
      const now = await store.latest();
      if (now === undefined || now.record._id !== record._id) throw error;
      if (isEnd(now.record.state) || now.record.state === "ending") return now.record;
      await systemClock.sleep(100, signal);
    }
  }
};

/** What came of it. @throws why it went back; FERRY_STRUCTURE_INCOMPLETE */
const tellEnd = (flags: CutoverFlags, record: CutoverRecord): void => {
  const { _id, refused, namespaces, unrestored = [] } = record;
  if (flags.json === true) printJson(cutoverFacts(record));
  if (record.state === "aborted" && refused !== undefined)
    throw new FerryError(refused.code, `cutover ${_id} went back: ${refused.detail}`);
  requireComplete(unrestored);
  if (flags.json === true) return;
  const what = namespaces.length === 0 ? "everything" : namespaces.join(", ");
  print(`switched over: ${what} is the target's now, and the source stays fenced`);
  print(`the pause was ${pauseText(pauseOf(record))}`);
};

const abort = async (flags: CutoverFlags, sides: Sides, choice: Choice, signal: AbortSignal): Promise<void> => {
  const store = new CutoverStore(sides.state, `${hostname()}/${process.pid}`, LEASE_MS);
  const found = await store.latest();
  const last = found?.record;
  const kept = last === undefined ? choice : { named: last.namespaces, fence: fenceIn(last, choice.fence) };
  const parts = partsFor(flags, sides, kept, signal);
  const isReleased = last !== undefined && (mayHaveReleased(last.state) || last.state === "over");
  if (isReleased && flags.allowBoth !== true)
    throw new FerryError("FERRY_CUTOVER_RELEASED", `cutover ${last._id} is ${last.state}`);
  if (found === undefined || last === undefined || isEnd(last.state) || last.state === "ending")
    return liftOnly(flags, parts, last);
  const mine = await store.take(last, "lease");
  const machine = new Machine({ ...machineDeps(flags, sides, parts, signal), memory: store }, mine);
  const why = new FerryError("FERRY_CUTOVER_INTERRUPTED", "taken back by the operator");
  const record = mayHaveReleased(mine.record.state)
    ? await machine.run(await store.move(mine.record, { to: "lifting", lapMs: 0, refused: why }))
    : await machine.resume(mine.record);
  if (flags.json === true) printJson(cutoverFacts(record));
  else print(`cutover ${record._id} was taken back: services write to the source`);
};

/** No cutover is under way, and the fence of one may still be up. @throws FERRY_CUTOVER_NONE */
const liftOnly = async (flags: CutoverFlags, parts: Parts, last: CutoverRecord | undefined): Promise<void> => {
  const isUp = (await parts.fence.unready()).some(({ code }) => code === "FERRY_CUTOVER_FENCED");
  if (!isUp && parts.fence.kind !== "hook") throw new FerryError("FERRY_CUTOVER_NONE", "nothing is fenced");
  await parts.fence.lift();
  if (flags.json === true) printJson({ cutover: last?._id ?? null, lifted: true });
  else print("the fence is lifted: the source takes writes");
};

const tellReady = async (flags: CutoverFlags, sides: Sides, choice: Choice, signal: AbortSignal): Promise<void> => {
  const missing = await unready(partsFor(flags, sides, choice, signal));
  const last = await new RehearsalStore(sides.state).last();
  if (missing.length > 0) process.exitCode = 1;
  if (flags.json === true) {
    const reasons = missing.map(({ code, detail, entry }) => ({ code, detail, hint: entry.hint }));
    printJson({ ready: missing.length === 0, missing: reasons, expectedPauseMs: last?.pauseMs ?? null });
    return;
  }
  if (missing.length === 0) print("ready");
  for (const { code, detail, entry } of missing) print(`missing: ${code}: ${detail}\n  ${entry.hint}`);
  print(
    last === undefined
      ? "never rehearsed: the pause is not known"
      : `expected pause ${pauseText({ ms: last.pauseMs, parts: last.parts })}`,
  );
};

const tellRehearsal = async (flags: CutoverFlags, sides: Sides, choice: Choice, signal: AbortSignal): Promise<void> => {
  const parts = partsFor(flags, sides, choice, signal);
  const [missing] = await unready(parts);
  if (missing !== undefined) throw missing;
  const now = async (): Promise<bigint> => (await clusterTime(sides.source)).toBigInt();
  const measured = await rehearse({ parts, now, clock: systemClock, signal, maxPauseMs: choice.maxPauseMs });
  await new RehearsalStore(sides.state).note(measured);
  if (flags.json === true) printJson({ rehearsed: true, expectedPauseMs: measured.pauseMs, parts: measured.parts });
  else print(`rehearsed: the pause would be about ${pauseText({ ms: measured.pauseMs, parts: measured.parts })}`);
};
