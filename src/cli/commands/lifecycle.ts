import type { Command } from "commander";
import type { StoredCapture } from "#capture/captureStore.ts";
import { commandOf, RunControl, type RunState, stateOf, type Unrestored } from "#capture/lifecycle.ts";
import { secondsOf, tokenTime } from "#capture/resumeToken.ts";
import { clusterTime } from "#capture/sourceProbe.ts";
import { readConfig } from "#config/routes.ts";
import { resolveSettings } from "#config/settings.ts";
import { FerryError } from "#errors/ferryError.ts";
import { systemClock } from "#flow/clock.ts";
import { KafkaClient } from "#kafka/client.ts";
import type { MongoClient } from "#mongo/connect.ts";
import { reachMongo } from "#mongo/reach.ts";
import { serversOf, throughOutages } from "#run/outages.ts";
import { finalize as finalizeStructure, requireComplete } from "#run/structure.ts";
import { workersDrained } from "#run/workersDrained.ts";
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
    .option("--config <file>", "with Kafka: routes and their rules (default: ferry.yaml here, where there is one)")
    .description(
      "end a `ferry run` or `ferry capture`: everything that the source has by now is applied, then unique indexes, TTL, validators and caps come back",
    )
    .action(finalize);
};

/** How often the run's record is looked at, ms. */
const LOOK_MS = 50;

type Seen = Readonly<{ record: StoredCapture; owned: boolean }>;

/** @throws FERRY_RUN_NONE */
const readRun = async (control: RunControl): Promise<Seen> => {
  const found = await control.read();
  if (found === undefined) throw new FerryError("FERRY_RUN_NONE", "the target remembers no run");
  return found;
};

/** @throws FERRY_RUN_FINALIZED, FERRY_RUN_FINALIZING */
const refuse = ({ lifecycle }: StoredCapture): never => {
  const at = lifecycle?.finalizedAt;
  if (at !== undefined) throw new FerryError("FERRY_RUN_FINALIZED", `the run was finalized at ${at.toISOString()}`);
  throw new FerryError("FERRY_RUN_FINALIZING", "it can neither be paused nor resumed any more");
};

/** Looks until `enough`, and says every new state and phase. */
const watching = async (
  control: RunControl,
  signal: AbortSignal,
  enough: (seen: Seen, state: RunState) => boolean,
  say: (seen: Seen, state: RunState) => void,
): Promise<Seen> => {
  let said = "";
  for (;;) {
    signal.throwIfAborted();
    const seen = await readRun(control);
    const state = stateOf(seen.record);
    if (enough(seen, state)) return seen;
    const now = `${state} ${seen.record.phase} ${seen.owned}`;
    if (now !== said) say(seen, state);
    said = now;
    await systemClock.sleep(LOOK_MS, signal);
  }
};

const facts = ({ record, owned }: Seen): Readonly<Record<string, unknown>> => ({
  state: stateOf(record),
  owner: owned ? record.owner : null,
});

const pause = (flags: Flags): Promise<void> =>
  withState(flags, "ferry pause", (client, stateDb) =>
    withSignals(async ({ soft }) => {
      const control = new RunControl(client, stateDb);
      const { record } = await readRun(control);
      if (!(await control.pause())) refuse(record);
      const enough = ({ owned }: Seen, state: RunState): boolean => state === "paused" || !owned;
      const seen = await watching(control, soft, enough, () => undefined);
      if (flags.json === true) printJson(facts(seen));
      else if (!seen.owned) print(`nobody runs it now; it stays paused when ${commandOf(record)} is started again`);
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
    if (flags.json === true) printJson(facts(seen));
    else if (seen.owned) print("resumed: it goes on where it was");
    else print(`nobody runs it now; start ${commandOf(record)} again as before`);
  });

const progress = ({ record, owned }: Seen, state: RunState): string => {
  if (!owned) return `nobody runs it now: start ${commandOf(record)} again as before, it goes on with this`;
  if (state === "finalizing") return "drained; giving back what was held back";
  if (record.phase !== "stream")
    return "draining: the copy goes on to its end first (`ferry status` shows how far it is), then the changes since it began";
  const at = new Date(secondsOf(tokenTime(record.token)) * 1000).toISOString();
  return `draining: the position is ${at}`;
};

type FinalizeFlags = Flags & Readonly<{ config?: string }>;

/** With Kafka: what is left when the capture has ended. The workers see to the documents, this command to the structure. */
const finishBehindWorkers = async (
  flags: FinalizeFlags,
  { record: { topics } }: Seen,
  { source, target, signal }: Readonly<{ source: MongoClient; target: MongoClient; signal: AbortSignal }>,
): Promise<Unrestored[]> => {
  const { kafka: bootstrap, group, stateDb } = resolveSettings(flags, ["kafka"]);
  const say = (text: string): void => {
    if (flags.json !== true) print(text);
  };
  await using kafka = new KafkaClient({ bootstrap, clientId: "ferry-finalize", group });
  let said: number | undefined = 0;
  const report = (behind: number | undefined): void => {
    if (behind !== said)
      say(
        behind === undefined ? "no worker has a topic's records: start one" : `workers have ${behind} records to apply`,
      );
    said = behind;
  };
  const names = topics.map(({ name }) => name);
  await workersDrained({ kafka, target, stateDb, topics: names, clock: systemClock, signal, report });
  say("drained; giving back what was held back");
  const { routes } = readConfig(flags.config);
  const failures = await finalizeStructure({
    ...{ source, target, stateDb, routes, clock: systemClock, signal },
    report: () => undefined,
  });
  return failures.map(({ ns, index, reason }) => ({ ns, index, reason }));
};

const finalize = (flags: FinalizeFlags): Promise<void> =>
  withState(flags, "ferry finalize", (target, stateDb) =>
    withSignals(async ({ soft: signal }) => {
      const { source: uri } = resolveSettings(flags, ["source"]);
      const control = new RunControl(target, stateDb);
      const { mode } = (await readRun(control)).record;
      if (mode === "kafka") resolveSettings(flags, ["kafka"]); // said before anything is asked of the capture
      const waiting = { clock: systemClock, logger: plainLogger, signal };
      const source = await reachMongo(uri, { side: "source", appName: "ferry finalize", ...waiting });
      try {
        await control.finalize(await clusterTime(source));
        const say = (seen: Seen, state: RunState): void => {
          if (flags.json !== true) print(progress(seen, state));
        };
        const last: RunState = mode === "kafka" ? "finalizing" : "finalized";
        const finish = async (): Promise<void> => {
          const seen = await watching(control, signal, (_, state) => [last, "finalized"].includes(state), say);
          if (stateOf(seen.record) !== "finalized")
            await control.end(await finishBehindWorkers(flags, seen, { source, target, signal }));
        };
        await throughOutages("finalizing", serversOf({ source, target }), waiting, finish);
      } finally {
        await source.close();
      }
      const { finalizedAt, unrestored = [] } = (await readRun(control)).record.lifecycle ?? {};
      if (flags.json === true) printJson({ state: "finalized", finalizedAt, unrestored });
      requireComplete(unrestored);
      if (flags.json !== true) print("finalized: the target has the source's structure, and the run is over");
    }),
  );
