import type { Command } from "commander";
import type { CaptureRecord } from "#capture/captureStore.ts";
import { RunControl, type RunState, stateOf } from "#capture/lifecycle.ts";
import { secondsOf, tokenTime } from "#capture/resumeToken.ts";
import { clusterTime } from "#capture/sourceProbe.ts";
import { resolveSettings } from "#config/settings.ts";
import { FerryError } from "#errors/ferryError.ts";
import { systemClock } from "#flow/clock.ts";
import { connectMongo } from "#mongo/connect.ts";
import { requireComplete } from "#run/structure.ts";
import { type Flags, withConnections, withTarget } from "../connections.ts";
import { print } from "../output.ts";
import { withSignals } from "../signals.ts";

/** `ferry pause`, `resume` and `finalize`: what is wanted of a `ferry run`, written where it looks, from any shell. */
export const registerLifecycle = (program: Command): void => {
  withConnections(program.command("pause"), ["target", "stateDb"])
    .description("pause a `ferry run`: nothing is written to the target until `ferry resume`, also after a restart")
    .action(pause);
  withConnections(program.command("resume"), ["target", "stateDb"])
    .description("let a paused `ferry run` go on where it was")
    .action(resume);
  withConnections(program.command("finalize"), ["source", "target", "stateDb"])
    .description(
      "end a `ferry run`: everything that the source has by now is applied, then unique indexes, TTL, validators and caps come back",
    )
    .action(finalize);
};

/** How often the run's record is looked at, ms. */
const LOOK_MS = 200;

type Seen = Readonly<{ record: CaptureRecord; owned: boolean }>;

/** @throws FERRY_RUN_NONE */
const readRun = async (control: RunControl): Promise<Seen> => {
  const found = await control.read();
  if (found === undefined) throw new FerryError("FERRY_RUN_NONE", "the target remembers no run");
  if (found.record.mode !== "direct")
    throw new FerryError("FERRY_RUN_NONE", "the target is fed by `ferry capture` and its workers");
  return found;
};

/** @throws FERRY_RUN_FINALIZED, FERRY_RUN_FINALIZING */
const refuse = ({ lifecycle }: CaptureRecord): never => {
  const at = lifecycle?.finalizedAt;
  if (at !== undefined) throw new FerryError("FERRY_RUN_FINALIZED", `the run was finalized at ${at.toISOString()}`);
  throw new FerryError("FERRY_RUN_FINALIZING", "it can neither be paused nor resumed any more");
};

/** Looks until `enough`, and says every new state. */
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
    const now = `${state} ${seen.owned}`;
    if (now !== said) say(seen, state);
    said = now;
    await systemClock.sleep(LOOK_MS, signal);
  }
};

const facts = ({ record, owned }: Seen): string =>
  JSON.stringify({ state: stateOf(record), owner: owned ? record.owner : null });

const pause = (flags: Flags): Promise<void> =>
  withTarget(flags, "ferry pause", (client, stateDb) =>
    withSignals(async ({ soft }) => {
      const control = new RunControl(client, stateDb);
      const { record } = await readRun(control);
      if (!(await control.pause())) refuse(record);
      const enough = ({ owned }: Seen, state: RunState): boolean => state === "paused" || !owned;
      const seen = await watching(control, soft, enough, () => undefined);
      if (flags.json === true) print(facts(seen));
      else if (seen.owned) print("paused: nothing is on its way to the target, and its position is kept");
      else print("nobody runs it now; it stays paused when `ferry run` is started again");
    }),
  );

const resume = (flags: Flags): Promise<void> =>
  withTarget(flags, "ferry resume", async (client, stateDb) => {
    const control = new RunControl(client, stateDb);
    const { record } = await readRun(control);
    if (!(await control.resume())) refuse(record);
    const seen = await readRun(control);
    if (flags.json === true) print(facts(seen));
    else
      print(seen.owned ? "resumed: it goes on where it was" : "nobody runs it now; start `ferry run` again as before");
  });

const progress = ({ record, owned }: Seen, state: RunState): string => {
  if (!owned) return "nobody runs it now: start `ferry run` again as before, it goes on with this";
  if (state === "finalizing") return "drained; giving back what was held back";
  const at = new Date(secondsOf(tokenTime(record.token)) * 1000).toISOString();
  return record.phase === "stream" ? `draining: the position is ${at}` : "draining: it still copies";
};

const finalize = (flags: Flags): Promise<void> =>
  withTarget(flags, "ferry finalize", (client, stateDb) =>
    withSignals(async ({ soft }) => {
      const { source: uri } = resolveSettings(flags, ["source"]);
      const control = new RunControl(client, stateDb);
      await readRun(control);
      const source = await connectMongo(uri, { appName: "ferry finalize" });
      try {
        await control.finalize(await clusterTime(source));
      } finally {
        await source.close();
      }
      const say = (seen: Seen, state: RunState): void => {
        if (flags.json !== true) print(progress(seen, state));
      };
      const { record } = await watching(control, soft, (_, state) => state === "finalized", say);
      const { finalizedAt, unrestored = [] } = record.lifecycle ?? {};
      if (flags.json === true) print(JSON.stringify({ state: "finalized", finalizedAt, unrestored }));
      requireComplete(unrestored);
      if (flags.json !== true) print("finalized: the target has the source's structure, and the run is over");
    }),
  );
