import type { Command } from "commander";
import { readConfig } from "#base/config/readConfig.ts";
import { resolveSettings } from "#base/config/settings.ts";
import { systemClock } from "#base/flow/clock.ts";
import { NamespaceFilter } from "#base/flow/namespaceFilter.ts";
import { NO_VITALS } from "#base/observe/vitals.ts";
import { kafkaAddress } from "#io/kafka/address.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import { connectMongo, type MongoClient } from "#io/mongo/connect.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { BEST_SITE } from "#io/state/targetSite.ts";
import type { CarriedDeps } from "#proof/verify/carried.ts";
import { routesBack } from "#route/table/reverseRoutes.ts";
import { type SinkOf, sharedBySinks, sinkOpener } from "#sink/open/openSink.ts";
import { plainLogger } from "#surface/terminal/output.ts";
import { type StopSignals, withSignals } from "#surface/terminal/signals.ts";
import type { Flags } from "./connections.ts";
import { type NamesFlags, namesIn, withNames } from "./namesFlags.ts";

export type BothFlags = Flags &
  NamesFlags &
  Readonly<{
    config?: string;
    /** What carries back is meant; the other flags are those of `otherWay`. */
    reverse?: boolean;
  }>;

/** Adds the flags that select namespaces of the run. */
export const withCarried = (command: Command): Command =>
  withNames(command.option("--config <file>", "routes and their rules (default: ferry.yaml here, if it exists)"), {
    include: "namespaces of the source (default: everything)",
    exclude: "namespaces to skip",
  });

type BothSides = CarriedDeps & Readonly<{ signal: AbortSignal; uri: string; sinkOf: SinkOf }>;

/**
 * Works on what is carried between source and target, and on Kafka where it is given: only a run without it can do without.
 * @throws FERRY_USAGE, FERRY_CONFIG, FERRY_MONGO_*
 */
export const withBothSides = (
  flags: BothFlags,
  appName: string,
  { target, state }: Readonly<{ target: MongoClient; state: StateDb }>,
  work: (deps: BothSides, signals: StopSignals) => Promise<void>,
): Promise<void> =>
  withSignals(async (signals) => {
    const settings = resolveSettings(flags, ["source"]);
    const { source: uri } = settings;
    const clientId = appName.replace(" ", "-");
    const filter = new NamespaceFilter(namesIn(flags));
    const { routes: given } = await readConfig(flags.config);
    const routes = flags.reverse === true ? routesBack(given) : given;
    await using kafka =
      settings.kafka === undefined
        ? undefined
        : new KafkaClient({ ...kafkaAddress(settings), clientId, group: clientId });
    const source = await connectMongo(uri, { side: "source", appName });
    try {
      const { soft: signal } = signals;
      const shared = sharedBySinks(systemClock);
      const opening = { shared, target, state, clock: systemClock, logger: plainLogger, vitals: NO_VITALS, signal };
      const sinkOf = sinkOpener({ ...opening, site: BEST_SITE }); // it reads, and writes nothing
      const deps = { source, target, state, routes, filter, kafka, clock: systemClock, signal, uri, sinkOf };
      await work(deps, signals);
    } finally {
      await source.close();
    }
  });
