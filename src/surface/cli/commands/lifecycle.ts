import type { Command } from "commander";
import { readConfig } from "#base/config/routes.ts";
import { resolveSettings } from "#base/config/settings.ts";
import { CATALOGUE } from "#base/errors/catalogue.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { systemClock } from "#base/flow/clock.ts";
import { listed } from "#base/flow/namespaceFilter.ts";
import { endRun } from "#cutover/endRun.ts";
import { type LookDeps, lettersAndHalts, timeText, writesBehind } from "#cutover/lastLook.ts";
import { readRun, type SeenRun, watchRun } from "#cutover/runWatch.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { serversOf, throughOutages } from "#io/mongo/outages.ts";
import { reachMongo } from "#io/mongo/reach.ts";
import { commandOf, RunControl, type RunState, stateOf } from "#source/capture/captureLifecycle.ts";
import type { StoredCapture } from "#source/capture/captureStore.ts";
import { readDeployment, requireSameSource } from "#source/stream/deployment.ts";
import { secondsOf, tokenTime } from "#source/stream/resumeToken.ts";
import { clusterTime } from "#source/stream/sourceProbe.ts";
import { requireComplete } from "#structure/operations/structureOperations.ts";
import { type Flags, withConnections, withState } from "../connections.ts";
import { plainLogger, print, printJson } from "../output.ts";
import { withSignals } from "../signals.ts";

/** `ferry pause`, `resume` and `finalize`: what is wanted of a `ferry run` or `ferry capture`, written where it looks. */
export const registerLifecycle = (program: Command): void => {
  withConnections(program.command("pause"), ["target", "stateDb"])
    .description(
      "pause a `ferry run`: nothing is written to the target until `ferry resume`, also after a restart (`ferry capture`: to Kafka)",
    )
    .action(pause);
  withConnections(program.command("resume"), ["target", "stateDb"])
    .description("let a paused `ferry run` or `ferry capture` go on where it was")
    .action(resume);
  withConnections(program.command("finalize"), ["source", "target", "kafka", "stateDb"])
    .option(
      "--allow-writes",
      "end it although services still write to the source; says up to which time the target has everything",
    )
    .option("--accept <codes>", "what may be missing all the same, by its codes, comma-separated")
    .option("--config <file>", "with Kafka: routes and their rules (default: ferry.yaml here, where there is one)")
    .description(
      "end a `ferry run` or `ferry capture`: everything that the source has by now is applied, then unique indexes, TTL, validators and caps come back",
    )
    .action(finalize);
};

/** @throws FERRY_RUN_FINALIZED, FERRY_RUN_FINALIZING */
const refuse = ({ lifecycle }: StoredCapture): never => {
  const at = lifecycle?.finalizedAt;
  if (at !== undefined) throw new FerryError("FERRY_RUN_FINALIZED", `the run was finalized at ${at.toISOString()}`);
  throw new FerryError("FERRY_RUN_FINALIZING", "it can neither be paused nor resumed any more");
};

const facts = ({ record, owned }: SeenRun): Readonly<Record<string, unknown>> => ({
  state: stateOf(record),
  owner: owned ? record.owner : null,
  ended: owned ? null : (record.ended ?? null),
});

/** Nobody runs it: why, where that is known; then the exit status is that of what it ended with. */
const nobodyRuns = ({ record: { ended } }: SeenRun, next: string): string => {
  if (ended == null) return `nobody runs it now; ${next}`;
  const { code, detail, at } = ended;
  return `nobody runs it: it ended at ${at.toISOString()} with ${code}: ${detail}\n  ${CATALOGUE[code].hint}\n${next}`;
};

/** The exit status of a command that found a run which has ended with an error. */
const exitAs = ({ record: { ended }, owned }: SeenRun): void => {
  if (!owned && ended != null) process.exitCode = CATALOGUE[ended.code].exit;
};

const pause = (flags: Flags): Promise<void> =>
  withState(flags, "ferry pause", (client, stateDb) =>
    withSignals(async ({ soft }) => {
      const control = new RunControl(client, stateDb);
      const { record } = await readRun(control);
      if (!(await control.pause())) refuse(record);
      const enough = ({ owned }: SeenRun, state: RunState): boolean => state === "paused" || !owned;
      const watched = { control, clock: systemClock, signal: soft, say: () => undefined };
      const seen = await watchRun(watched, enough);
      exitAs(seen);
      if (flags.json === true) printJson(facts(seen));
      else if (!seen.owned) print(nobodyRuns(seen, `it stays paused when ${commandOf(record)} is started again`));
      else if (record.mode === "direct") print("paused: nothing is on its way to the target, and its position is kept");
      else print("paused: nothing is captured, and the position is kept; workers apply what Kafka has");
    }),
  );

const resume = (flags: Flags): Promise<void> =>
  withState(flags, "ferry resume", async (client, stateDb) => {
    const control = new RunControl(client, stateDb);
    const { record } = await readRun(control);
    if (!(await control.resume())) refuse(record);
    const seen = await readRun(control);
    exitAs(seen);
    if (flags.json === true) printJson(facts(seen));
    else if (seen.owned) print("resumed: it goes on where it was");
    else print(nobodyRuns(seen, `start ${commandOf(record)} again as before`));
  });

const progress = ({ record, owned }: SeenRun, state: RunState): string => {
  if (!owned) return `nobody runs it now: start ${commandOf(record)} again as before, it goes on with this`;
  if (state === "finalizing") return "drained; giving back what was held back";
  if (record.phase !== "stream")
    return "draining: the copy goes on to its end first (`ferry status` shows how far it is), then the changes since it began";
  const at = new Date(secondsOf(tokenTime(record.token)) * 1000).toISOString();
  return `draining: the position is ${at}`;
};

type FinalizeFlags = Flags & Readonly<{ config?: string; allowWrites?: boolean; accept?: string }>;

/** What may be missing all the same. */
const acceptedBy = ({ allowWrites, accept }: FinalizeFlags): readonly string[] => [
  ...listed(accept ?? ""),
  ...(allowWrites === true ? ["FERRY_SOURCE_WRITES"] : []),
];

const kafkaOf = (flags: FinalizeFlags): KafkaClient => {
  const { kafka: bootstrap, group } = resolveSettings(flags, ["kafka"]);
  return new KafkaClient({ bootstrap, clientId: "ferry-finalize", group });
};

/** What is known before anything is asked of the run: it would be met at its end again. @throws FERRY_RUN_*, FERRY_CAPTURE_OTHER */
const requireEndable = async (
  { record }: SeenRun,
  source: MongoClient,
  { target, stateDb, accepted }: LookDeps,
): Promise<void> => {
  requireSameSource(record.source, await readDeployment(source));
  if (stateOf(record) === "finalized") return; // asked again, for what came of it
  const known = await lettersAndHalts({ target, stateDb, routes: undefined, accepted });
  if (known !== undefined) throw known;
};

/** What came of it. @throws FERRY_STRUCTURE_INCOMPLETE */
const tellEnd = ({ lifecycle = {}, token }: StoredCapture, asJson: boolean): void => {
  const { finalizedAt, unrestored = [] } = lifecycle;
  const appliedTo = timeText(tokenTime(token));
  if (asJson) printJson({ state: "finalized", finalizedAt, appliedTo, unrestored });
  requireComplete(unrestored);
  if (asJson) return;
  print("finalized: the target has the source's structure, and the run is over");
  print(`it has everything that the source had up to ${appliedTo}, by the source's clock`);
};

const finalize = (flags: FinalizeFlags): Promise<void> =>
  withState(flags, "ferry finalize", (target, stateDb) =>
    withSignals(async ({ soft: signal }) => {
      const { source: uri } = resolveSettings(flags, ["source"]);
      const control = new RunControl(target, stateDb);
      const asked = await readRun(control);
      const { mode } = asked.record;
      if (mode === "kafka") resolveSettings(flags, ["kafka"]); // said before anything is asked of the capture
      const accepted = acceptedBy(flags);
      const { routes } = readConfig(flags.config);
      const waiting = { clock: systemClock, logger: plainLogger, signal };
      await using clients = new AsyncDisposableStack();
      const source = await reachMongo(uri, { side: "source", appName: "ferry finalize", ...waiting });
      clients.defer(() => source.close());
      const kafka = mode === "kafka" ? clients.use(kafkaOf(flags)) : undefined;
      await requireEndable(asked, source, { target, stateDb, routes: undefined, accepted: new Set(accepted) });
      const at = await clusterTime(source);
      const say = (seen: SeenRun, state: RunState): void => {
        if (flags.json !== true) print(progress(seen, state));
      };
      const tell = (sentence: string): void => {
        if (flags.json !== true) print(sentence);
      };
      const deps = { ...waiting, ...{ control, source, target, stateDb, routes, kafka, accepted, say, tell } };
      const writes = await throughOutages("finalizing", serversOf({ source, target }), waiting, async () => {
        const { scope, token } = await endRun(deps, at);
        // Once more behind the end: giving back may have taken long, and nobody captures any more.
        if (accepted.includes("FERRY_SOURCE_WRITES") || stateOf(asked.record) === "finalized") return undefined;
        return writesBehind(source, { scope, token }, { stateDb, at: tokenTime(token), signal });
      });
      tellEnd((await readRun(control)).record, flags.json === true);
      if (writes !== undefined) throw writes;
    }),
  );
