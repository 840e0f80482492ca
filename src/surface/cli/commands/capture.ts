import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { Command } from "commander";
import { acceptedCodes } from "#base/config/acceptedCodes.ts";
import { resolveCarrying } from "#base/config/carrying.ts";
import { readConfig } from "#base/config/readConfig.ts";
import { systemClock } from "#base/flow/clock.ts";
import { runKafkaCapture } from "#process/capture/kafkaCapture.ts";
import { withSignals } from "#surface/terminal/signals.ts";
import { type CaptureFlags, parseCapture, requireStructure, withCapture } from "../captureFlags.ts";
import { wholeNumber, withKafkaConfig } from "../connections.ts";
import { loggerOf, watched } from "../logging.ts";
import { metricsPlace } from "../metricsFlags.ts";
import { VERSION } from "../version.ts";
import { type BesideFlags, besideControl, splitControl, withControl } from "./control/besideControl.ts";

const PARTITIONS = "4";
const BUDGET_MB = "32";
const LEASE_MS = "3000";

/** `ferry capture`: the source into Kafka, in place of Kafka Connect and the connector. */
export const registerCapture = (command: Command): void => {
  withControl(withCapture(withKafkaConfig(command.option("--kafka <servers>", "Kafka bootstrap servers"))))
    .option("--partitions <count>", `partitions of topics that do not exist yet (default: ${PARTITIONS})`)
    .option("--budget-mb <count>", `MB that may wait for Kafka; reading waits at this limit (default: ${BUDGET_MB})`)
    .option(
      "--lease-ms <ms>",
      `how long, ms, a capture may be silent before another process takes it over (default: ${LEASE_MS})`,
    )
    .option(
      "--replace-target",
      "drop the selected collections on the target, create their topics again, and start over; stop the workers first",
    )
    .option("--accept <codes>", "error codes, comma-separated, that are no reason to refuse the start")
    .action(async ({ replaceTarget = false, ...flags }: CaptureFlags & BesideFlags & { replaceTarget?: boolean }) => {
      const { beside, rest } = splitControl(flags);
      const { texts, metricsOpen, ...capture } = parseCapture(rest);
      requireStructure(replaceTarget, capture);
      const { routes } = await readConfig(texts["config"]);
      const settings = resolveCarrying(texts, routes, ["source", "kafka"]);
      const place = metricsPlace(settings.metrics, { metricsOpen });
      const logger = loggerOf(settings);
      const deps = {
        ...capture,
        replaceTarget,
        settings,
        routes,
        partitions: wholeNumber("--partitions", texts["partitions"] ?? PARTITIONS),
        accept: acceptedCodes(texts["accept"]).join(","),
        budgetMb: wholeNumber("--budget-mb", texts["budgetMb"] ?? BUDGET_MB),
        leaseMs: wholeNumber("--lease-ms", texts["leaseMs"] ?? LEASE_MS),
        logger,
        clock: systemClock,
        runId: `${hostname()}-${process.pid}-${randomBytes(2).toString("hex")}`,
      };
      await withSignals(({ soft, hard }) =>
        besideControl({ flags: { ...texts, ...beside }, logger, soft }, () =>
          watched({ settings, place, logger }, { command: "capture", version: VERSION }, (vitals) =>
            runKafkaCapture({ ...deps, vitals, soft, hard }),
          ),
        ),
      );
    });
};
