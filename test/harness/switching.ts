import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import type { CutoverRecord } from "#cutover/machine/record.ts";
import { MovingServices } from "../../bench/lib/movingServices.ts";
import { startCapture, startDirect } from "./directRun.ts";
import { type FerryRun, ferry } from "./ferry.ts";
import { tempFolder } from "./folders.ts";
import { FerryProcess, startWorker } from "./worker.ts";
import { recommendedConnector } from "./workerConnector.ts";

export type SwitchingServers = Readonly<{
  source: string;
  target: string;
  /** Of Kafka, where `ferry capture` and a worker carry; otherwise `ferry run` does. */
  bootstrap: string | undefined;
  /** Of Kafka Connect, where the official connector captures `users` instead of `ferry capture`. */
  connectUrl: string | undefined;
}>;

export type Switching = Awaited<ReturnType<typeof switching>>;

/** Both sides, a run that streams the database `name`, services on it, and commands against it. The caller disposes of it. */
export const switching = async ({ source, target, bootstrap, connectUrl }: SwitchingServers, name: string) => {
  const stack = new AsyncDisposableStack();
  const here = stack.use(await new MongoClient(source).connect());
  const there = stack.use(await new MongoClient(target).connect());
  const stateDb = `ferry_${name}`;
  const kafka = [
    ...(bootstrap === undefined ? [] : ["--kafka", bootstrap]),
    ...(connectUrl === undefined ? [] : ["--connect", connectUrl]),
  ];
  const direct = ["--source", source, "--target", target, "--state-db", stateDb];
  const urls = [...direct, ...kafka];
  const processes: FerryProcess[] = [];
  const own = <T extends FerryProcess>(process: T): T => {
    processes.push(process);
    return stack.use(process);
  };
  const start = async (): Promise<FerryProcess> => {
    const args = ["--state-db", stateDb];
    const sides = { source, target, include: [`${name}.*`], args };
    if (bootstrap !== undefined && connectUrl !== undefined) {
      const folder = stack.use(tempFolder());
      const file = join(folder.path, "connector.json");
      writeFileSync(file, JSON.stringify({ name, config: recommendedConnector(source, name, "users") }));
      const begun = await ferry(["cx", file, ...urls]);
      if (begun.status !== 0) throw new Error(begun.err);
      return own(await startWorker({ ...sides, kafka: bootstrap, args: [...args, "--topics", `${name}.*`] }));
    }
    if (bootstrap !== undefined) {
      const capture = own(await startCapture({ ...sides, kafka: bootstrap }));
      await capture.says("copy finished");
      own(await startWorker({ ...sides, kafka: bootstrap, args: [...args, "--topics", `${name}.*`] }));
      return capture;
    }
    const run = await startDirect(sides);
    await own(run).says("copy finished");
    return run;
  };
  return {
    here,
    there,
    start,
    /** What carries, in the order in which it was started. */
    processes: processes as readonly FerryProcess[],
    /** `ferry run` once more, where an earlier one has ended. */
    resumed: async (): Promise<FerryProcess> => {
      const sides = { source, target, include: [`${name}.*`], args: ["--state-db", stateDb] };
      return own(await startDirect(sides, "resuming the stream"));
    },
    /** `ferry COMMAND` with both sides. */
    command: (command: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<FerryRun> =>
      ferry([...command.split(" "), ...urls, ...args], { env }),
    /** The same, and its stdout is closed as soon as it says this. */
    readUntil: (readUntil: RegExp, command: string, args: readonly string[] = []): Promise<FerryRun> =>
      ferry([command, ...urls, ...args], { readUntil }),
    /** `ferry run` from the target to the source, as if there were nothing else. */
    otherWay: (args: readonly string[]): Promise<FerryRun> =>
      ferry(["run", "--source", target, "--target", source, "--state-db", stateDb, ...args]),
    /** `ferry run --reverse`, at work. */
    reverse: async (): Promise<FerryProcess> => {
      const flags = ["run", "--reverse", ...direct, "--include", `${name}.*`, "--lease-ms", "1500"];
      const process = stack.use(new FerryProcess("reverse", flags, {}, "carrying back"));
      await process.start();
      return process;
    },
    /** `ferry verify --follow` that has proven all there is. */
    following: async (): Promise<FerryProcess> => {
      const process = stack.use(new FerryProcess("verify", ["verify", ...urls, "--follow"], {}, "verified up to"));
      const since = Date.now();
      await process.start();
      // It begins where the last verification ended, and has that to catch up with first.
      await waitFor(
        async () => {
          const [last = ""] =
            process
              .log()
              .match(/(?<=verified up to )\S+(?=: )/g)
              ?.slice(-1) ?? [];
          return Date.parse(last) >= since - 1000 ? { done: undefined } : { seen: process.logTail(3) };
        },
        { what: "the verification to have caught up", clock: systemClock, timeoutMs: 60_000 },
      );
      return process;
    },
    /** `ferry cutover` that is expected to stand still at a fault point. */
    frozen: async (args: readonly string[], fault: string): Promise<FerryProcess> => {
      const env = { FERRY_FAULT: `${fault}:stop` };
      const process = new FerryProcess("cutover", ["cutover", ...urls, ...args], env, "checking what is missing");
      await stack.use(process).start();
      await process.freezes();
      return process;
    },
    services: (coll = "users"): MovingServices => stack.use(new MovingServices({ source, target }, { db: name, coll })),
    cutovers: there.db(stateDb).collection<CutoverRecord>("cutovers"),
    /** The servers are shared: other tests write to the source. */
    unblock: async (): Promise<void> => {
      await here.db("admin").command({ setUserWriteBlockMode: 1, global: false });
    },
    isBlocked: async (): Promise<boolean> =>
      (await here.db("admin").command({ serverStatus: 1, repl: 1 }))["repl"]?.userWriteBlockMode === 2,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
};
