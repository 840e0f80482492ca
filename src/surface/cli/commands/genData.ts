import type { Command } from "commander";
import { resolveSettings } from "#base/config/settings.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { systemClock } from "#base/flow/clock.ts";
import { count } from "#base/flow/figures.ts";
import { formatNamespace, isOfServer, type Namespace, parseNamespace } from "#base/flow/types.ts";
import { connectMongo } from "#io/mongo/connect.ts";
import { print, printJson } from "#surface/terminal/output.ts";
import { withSignals } from "#surface/terminal/signals.ts";
import { runWorkload } from "#tools/workload/genDataWorkload.ts";
import { insertPeople } from "#tools/workload/people.ts";
import { choiceFlag } from "../choices.ts";
import { type Flags, wholeNumber, withConnections } from "../connections.ts";

type GenDataFlags = Flags &
  Readonly<{
    count: string;
    rate?: string;
    workload?: string;
    clients: string;
    duration?: string;
    seed: string;
    ns: string;
    sex?: boolean;
  }>;

/** `ferry gen-data`: people for the run book, or a mixed load on them. */
export const registerGenData = (command: Command): void => {
  command
    .option("--count <n>", "number of documents; with --workload, number of operations", "100")
    .option("--rate <n/s>", "writes per second (default: no limit)")
    .addOption(choiceFlag("--workload <kind>", "mixed: inserts, updates, replaces and deletes", ["mixed"]))
    .option("--clients <n>", "concurrent writers of the workload", "8")
    .option("--duration <s>", "seconds the workload lasts, instead of --count")
    .option("--seed <n>", "the same seed gives the same data", "1")
    .option("--ns <db.collection>", "collection to write to", "test.users")
    .option("--sex", "add the field `sex` to half of the people, as after the schema change");
  withConnections(command, ["source"]).action((flags: GenDataFlags) => withSignals(({ soft }) => genData(flags, soft)));
};

/** Seconds or a rate: `50`, `0.5`, and for a rate `50/s` as well. */
const positive = (flag: string, text: string): number => {
  const value = Number(text.replace(/\/s$/, ""));
  if (Number.isFinite(value) && value > 0) return value;
  throw new FerryError("FERRY_USAGE", `${flag} must be a number above 0, not "${text}"`);
};

const collectionOf = (text: string): Namespace => {
  const ns = parseNamespace(text);
  if (ns.db !== "" && ns.coll !== "" && !isOfServer(ns)) return ns;
  throw new FerryError("FERRY_USAGE", `--ns must be a collection such as test.users, not "${text}"`);
};

const genData = async (flags: GenDataFlags, signal: AbortSignal): Promise<void> => {
  const settings = resolveSettings(flags, ["source"]);
  const ns = collectionOf(flags.ns);
  const ratePerSecond = flags.rate === undefined ? undefined : positive("--rate", flags.rate);
  const seconds = flags.duration === undefined ? undefined : positive("--duration", flags.duration);
  const total = wholeNumber("--count", flags.count);
  const seed = wholeNumber("--seed", flags.seed);
  const clients = wholeNumber("--clients", flags.clients, { max: 1000 });
  const client = await connectMongo(settings.source, {
    side: "source",
    appName: "ferry gen-data",
    maxPoolSize: Math.max(10, clients),
  });
  try {
    const users = client.db(ns.db).collection(ns.coll);
    if (flags.workload === undefined) {
      const options = { users, count: total, seed, clock: systemClock, ratePerSecond, signal };
      const inserted = await insertPeople({ ...options, withSex: flags.sex === true });
      if (flags.json === true) printJson({ ns: formatNamespace(ns), inserted });
      else print(signal.aborted ? `Stopped after ${count(inserted, "document")}` : "Data inserted successfully!");
      return;
    }
    const timer = seconds === undefined ? undefined : AbortSignal.timeout(seconds * 1000);
    const counts = await runWorkload({
      collection: users,
      clients,
      seed,
      clock: systemClock,
      ratePerSecond,
      signal: timer === undefined ? signal : AbortSignal.any([signal, timer]),
      operations: timer === undefined ? total : undefined,
    });
    if (flags.json === true) printJson({ ns: formatNamespace(ns), ...counts });
    else
      print(
        Object.entries(counts)
          .map(([what, n]) => `${what} ${count(n)}`)
          .join(", "),
      );
  } finally {
    await client.close();
  }
};
