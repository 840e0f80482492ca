import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { Command } from "commander";
import { resolveCarrying } from "#base/config/carrying.ts";
import { readConfig } from "#base/config/readConfig.ts";
import { systemClock } from "#base/flow/clock.ts";
import type { Vitals } from "#base/observe/vitals.ts";
import { runDirect } from "#process/run/direct.ts";
import { runReversed } from "#process/run/reverse.ts";
import type { DirectDeps } from "#process/run/runWiring.ts";
import { type StopSignals, withSignals } from "#surface/terminal/signals.ts";
import { type CaptureFlags, parseCapture, requireStructure, withCapture } from "../captureFlags.ts";
import { loggerOf, watched } from "../logging.ts";
import { metricsPlace } from "../metricsFlags.ts";
import { VERSION } from "../version.ts";
import { parseWorkerOptions, withWorkerOptions } from "../workerFlags.ts";
import { type BesideFlags, besideControl, splitControl, withControl } from "./control/besideControl.ts";

/** Copied documents wait in memory as the server sent them, for several lanes concurrently. */
const DEFAULTS = { budgetMb: 24 } as const;

type RunFlags = CaptureFlags & BesideFlags & { replaceTarget?: boolean; reverse?: boolean };

/** `ferry run`: source to target in one process, without Kafka and Java. */
export const registerRun = (command: Command): void => {
  withControl(withCapture(command))
    .option("--replace-target", "drop the selected collections on the target, and start over")
    .option(
      "--reverse",
      "after a cutover: apply to the former source what services write to the target, for `ferry rollback`",
    );
  withWorkerOptions(command, { without: ["topics"], defaults: DEFAULTS });
  command.action(async ({ replaceTarget = false, reverse = false, ...flags }: RunFlags) => {
    const { beside, rest } = splitControl(flags);
    const { texts, metricsOpen, ...capture } = parseCapture(rest);
    requireStructure(replaceTarget, capture);
    const options = parseWorkerOptions({ budgetMb: String(DEFAULTS.budgetMb), ...texts });
    const { routes, ddl } = await readConfig(texts["config"]);
    const settings = resolveCarrying(texts, routes, reverse ? ["source", "target"] : ["source"]);
    const place = metricsPlace(settings.metrics, { metricsOpen });
    const logger = loggerOf(settings);
    const host = hostname();
    const work = async ({ soft, hard }: StopSignals, vitals: Vitals): Promise<void> => {
      const deps: DirectDeps = {
        ...capture,
        replaceTarget,
        settings,
        options,
        routes,
        ddl,
        logger,
        vitals,
        clock: systemClock,
        runId: `${host}-${process.pid}-${randomBytes(2).toString("hex")}`,
        host,
        version: VERSION,
        soft,
        hard,
      };
      await (reverse ? runReversed(deps) : runDirect(deps));
    };
    await withSignals((signals) =>
      besideControl({ flags: { ...texts, ...beside }, logger, soft: signals.soft }, () =>
        watched({ settings, place, logger }, { command: "run", version: VERSION }, (vitals) => work(signals, vitals)),
      ),
    );
  });
};
