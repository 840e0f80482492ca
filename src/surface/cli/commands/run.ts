import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { Command } from "commander";
import { readConfig } from "#base/config/routes.ts";
import { resolveSettings } from "#base/config/settings.ts";
import { systemClock } from "#base/flow/clock.ts";
import { createLogger } from "#base/observe/log.ts";
import { runDirect } from "#process/run/direct.ts";
import { withSignals } from "#surface/terminal/signals.ts";
import { type CaptureFlags, parseCapture, requireStructure, withCapture } from "../captureFlags.ts";
import { VERSION } from "../version.ts";
import { parseWorkerOptions, withWorkerOptions } from "../workerFlags.ts";

/** Copied documents wait in memory as the server sent them, for several lanes concurrently. */
const DEFAULTS = { budgetMb: 24 } as const;

/** `ferry run`: source to target in one process, without Kafka and Java. */
export const registerRun = (command: Command): void => {
  withCapture(command).option("--replace-target", "drop the selected collections on the target, and start over");
  withWorkerOptions(command, { without: ["topics"], defaults: DEFAULTS });
  command.action(async ({ replaceTarget = false, ...flags }: CaptureFlags & { replaceTarget?: boolean }) => {
    const { texts, ...capture } = parseCapture(flags);
    requireStructure(replaceTarget, capture);
    const settings = resolveSettings(texts, ["source", "target"]);
    const options = parseWorkerOptions({ budgetMb: String(DEFAULTS.budgetMb), ...texts });
    const { routes, ddl } = readConfig(texts["config"]);
    const host = hostname();
    await withSignals(({ soft, hard }) =>
      runDirect({
        ...capture,
        replaceTarget,
        settings,
        options,
        routes,
        ddl,
        logger: createLogger(settings.logLevel),
        clock: systemClock,
        runId: `${host}-${process.pid}-${randomBytes(2).toString("hex")}`,
        host,
        version: VERSION,
        soft,
        hard,
      }),
    );
  });
};
