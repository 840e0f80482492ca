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
import { sharedMongo } from "./servers.ts";
import { FerryProcess, startWorker } from "./worker.ts";
import { recommendedConnector } from "./workerConnector.ts";

/**
 * Both sides, a run that streams the database `name`, services on it, and commands against it. The caller disposes of it.
 * @param bootstrap of Kafka, where `ferry capture` and a worker carry; otherwise `ferry run` does
 * @param connectUrl of Kafka Connect, where the official connector captures `users` instead of `ferry capture`
 */
export const streaming = async (name: string, bootstrap?: string, connectUrl?: string) => {
  const [source, target] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  const stack = new AsyncDisposableStack();
  const here = stack.use(await new MongoClient(source.uri).connect());
  const there = stack.use(await new MongoClient(target.uri).connect());
  const stateDb = `ferry_${name}`;
  const kafka = [
    ...(bootstrap === undefined ? [] : ["--kafka", bootstrap]),
    ...(connectUrl === undefined ? [] : ["--connect", connectUrl]),
  ];
  const direct = ["--source", source.uri, "--target", target.uri, "--state-db", stateDb];
  const urls = [...direct, ...kafka];
  const start = async (): Promise<FerryProcess> => {
    const args = ["--state-db", stateDb];
    const sides = { source: source.uri, target: target.uri, include: [`${name}.*`], args };
    if (bootstrap !== undefined && connectUrl !== undefined) {
      const folder = stack.use(tempFolder());
      const file = join(folder.path, "connector.json");
      writeFileSync(file, JSON.stringify({ name, config: recommendedConnector(source.uri, name, "users") }));
      const begun = await ferry(["cx", file, ...urls]);
      if (begun.status !== 0) throw new Error(begun.err);
      return stack.use(await startWorker({ ...sides, kafka: bootstrap, args: [...args, "--topics", `${name}.*`] }));
    }
    if (bootstrap !== undefined) {
      const capture = stack.use(await startCapture({ ...sides, kafka: bootstrap }));
      await capture.says("copy finished");
      stack.use(await startWorker({ source: source.uri, target: target.uri, kafka: bootstrap, args }));
      return capture;
    }
    const run = await startDirect(sides);
    await stack.use(run).says("copy finished");
    return run;
  };
  return {
    here,
    there,
    start,
    /** `ferry COMMAND` with both sides. */
    command: (command: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<FerryRun> =>
      ferry([...command.split(" "), ...urls, ...args], { env }),
    /** `ferry run` from the target to the source, as if there were nothing else. */
    otherWay: (args: readonly string[]): Promise<FerryRun> =>
      ferry(["run", "--source", target.uri, "--target", source.uri, "--state-db", stateDb, ...args]),
    /** `ferry run --reverse`, at work. */
    reverse: async (): Promise<FerryProcess> => {
      const flags = ["run", "--reverse", ...direct, "--include", `${name}.*`, "--lease-ms", "1500"];
      const process = stack.use(new FerryProcess("reverse", flags, {}, "carrying back"));
      await process.start();
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
    services: (coll = "users"): MovingServices =>
      stack.use(new MovingServices({ source: source.uri, target: target.uri }, { db: name, coll })),
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

/** Waits until every client writes to a side. @throws FERRY_TIMEOUT */
export const moved = (services: MovingServices, side: "source" | "target" = "target"): Promise<void> =>
  waitFor(async () => (services.areOn(side) ? { done: undefined } : { seen: services.acked }), {
    what: `every client to write to the ${side}`,
    clock: systemClock,
    timeoutMs: 20_000,
    everyMs: 20,
  });
