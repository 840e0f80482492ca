import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { Command } from "commander";
import { parseScope } from "#capture/scope.ts";
import { readRoutes } from "#config/routes.ts";
import { resolveSettings } from "#config/settings.ts";
import { systemClock } from "#flow/clock.ts";
import { createLogger } from "#observe/log.ts";
import { runDirect } from "#run/direct.ts";
import { wholeNumber } from "../connections.ts";
import { withSignals } from "../signals.ts";
import { VERSION } from "../version.ts";
import { parseWorkerOptions, withWorkerOptions } from "../workerFlags.ts";

/** Copied documents wait in memory as the server sent them, for several lanes at once. */
const DEFAULTS = { budgetMb: 32 } as const;
const READERS = "4";
const RANGE_DOCUMENTS = "50000";

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];

type Flags = Readonly<Record<string, string | undefined>> & {
  include: readonly string[];
  exclude: readonly string[];
  recopy?: boolean;
};

/** `ferry run`: source to target in one process, without Kafka and Java. */
export const registerRun = (program: Command): void => {
  const command = program
    .command("run")
    .description("carry documents from a source to a target in this one process, without Kafka")
    .option("--source <uri>", "source MongoDB, a replica set or a sharded cluster")
    .option("--target <uri>", "target MongoDB, which also holds ferry's state")
    .option(
      "--include <names>",
      "namespaces or globs to carry, such as 'shop.*'; may be repeated (default: everything)",
      collect,
      [],
    )
    .option("--exclude <names>", "namespaces or globs to leave out; may be repeated", collect, [])
    .option("--config <file>", "routes and their rules (default: ferry.yaml here, where there is one)")
    .option("--readers <count>", `ranges that are copied at once (default: ${READERS})`)
    .option(
      "--range-documents <count>",
      `documents of one range, about: what a kill may cost at most (default: ${RANGE_DOCUMENTS})`,
    )
    .option("--recopy", "copy everything again from a new start, and remove what the source no longer has")
    .option("--state-db <name>", "ferry's database on the target")
    .option("--log-level <level>", "debug, info, warn, error or silent");
  withWorkerOptions(command, { without: ["topics"], defaults: DEFAULTS });
  command.action(async ({ include, exclude, recopy = false, ...flags }: Flags) => {
    const texts = flags as Readonly<Record<string, string | undefined>>;
    const settings = resolveSettings(texts, ["source", "target"]);
    const options = parseWorkerOptions({ budgetMb: String(DEFAULTS.budgetMb), ...texts });
    const spec = parseScope(include, exclude);
    const routes = readRoutes(texts["config"]);
    const host = hostname();
    await withSignals(async ({ soft, hard }) =>
      runDirect({
        settings,
        options,
        spec,
        routes,
        readers: wholeNumber("--readers", texts["readers"] ?? READERS),
        rangeDocuments: wholeNumber("--range-documents", texts["rangeDocuments"] ?? RANGE_DOCUMENTS),
        recopy,
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
