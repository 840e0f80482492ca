import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { Command } from "commander";
import { resolveCarrying } from "#base/config/carrying.ts";
import { readConfig } from "#base/config/readConfig.ts";
import { systemClock } from "#base/flow/clock.ts";
import { unlessStopped } from "#base/flow/unlessStopped.ts";
import type { Vitals } from "#base/observe/vitals.ts";
import { Worker } from "#process/worker/worker.ts";
import { type StopSignals, withSignals } from "#surface/terminal/signals.ts";
import { withAddresses, withLog, withStateFlags } from "../connections.ts";
import { loggerOf, watched } from "../logging.ts";
import { type MetricsFlags, metricsPlace, withMetrics } from "../metricsFlags.ts";
import { VERSION } from "../version.ts";
import { parseWorkerOptions, withWorkerOptions } from "../workerFlags.ts";

type WorkerFlags = Omit<Record<string, string | undefined>, keyof MetricsFlags> & MetricsFlags;

/** `ferry worker`: applies topics to the target. Any number of them, anywhere. */
export const registerWorker = (command: Command): void => {
  withAddresses(command, {
    source: "source MongoDB, to look up documents of updates that carry none",
    target: "target MongoDB; not needed where no route goes to MongoDB, and --state is given",
    kafka: "Kafka bootstrap servers",
    connect: "Kafka Connect, to check and restart the connectors of the topics",
  });
  withStateFlags(command)
    .option("--config <file>", "routes and their rules (default: ferry.yaml here, if it exists)")
    .option("--group <name>", "consumer group that offsets are committed to, for Kafka tools")
    .option("--alive-file <file>", "file to touch after each report to the target, for health checks");
  withWorkerOptions(withMetrics(withLog(command)));
  command.action(async ({ metricsOpen = false, ...flags }: WorkerFlags) => {
    const options = parseWorkerOptions(flags);
    const { routes, ddl } = await readConfig(flags["config"]);
    const settings = resolveCarrying(flags, routes, ["kafka"]);
    const place = metricsPlace(settings.metrics, { metricsOpen });
    const logger = loggerOf(settings);
    const host = hostname();
    const work = async ({ soft, hard }: StopSignals, vitals: Vitals): Promise<void> => {
      await using worker = await Worker.open({
        settings,
        options,
        routes,
        ddl,
        logger,
        vitals,
        clock: systemClock,
        workerId: `${host}-${process.pid}-${randomBytes(2).toString("hex")}`,
        host,
        version: VERSION,
        soft,
        hard,
      });
      await worker.run();
    };
    await withSignals((signals) =>
      watched({ settings, place, logger }, { command: "worker", version: VERSION }, (vitals) =>
        unlessStopped(work(signals, vitals), signals.hard),
      ),
    );
  });
};
