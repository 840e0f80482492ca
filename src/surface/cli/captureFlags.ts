import { accessSync, constants, existsSync, mkdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import { stateFolder } from "#base/config/settings.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { fileReason } from "#base/errors/systemError.ts";
import type { NamespaceSpec } from "#base/flow/namespaceFilter.ts";
import type { ReadPreferenceMode } from "#io/mongo/connect.ts";
import type { NamesDeps } from "#process/capture/carriedNames.ts";
import { COPY_ORDERS, type CopyOrder } from "#source/copy/copyOrder.ts";
import type { SpoolSettings } from "#source/spool/spool.ts";
import type { SpoolMode } from "#source/spool/spoolNeed.ts";
import { terminalQuestion } from "#surface/terminal/question.ts";
import { choiceFlag, chosen } from "./choices.ts";
import { wholeNumber, withAddresses, withLog, withStateFlags } from "./connections.ts";
import { type MetricsFlags, withMetrics } from "./metricsFlags.ts";
import { type NamesFlags, namesIn, withNames } from "./namesFlags.ts";

const READERS = "4";
const RANGE_DOCUMENTS = "50000";

/** MB. */
const SPOOL_SIZE = "10240";
const SPOOL_WHEN: readonly SpoolMode[] = ["auto", "always", "never"];

/** Not by Node's own `recursive`, which never ends where the file system makes no folders at all (/proc). */
const makeFolder = (dir: string): void => {
  if (existsSync(dir)) return;
  if (dirname(dir) !== dir) makeFolder(dirname(dir));
  mkdirSync(dir, { mode: 0o700 });
};

/** A folder that was named is made at once: it would be needed when the target falls behind, which is too late to say so. @throws FERRY_FILE */
const usableFolder = (dir: string): string => {
  try {
    makeFolder(resolve(dir));
    accessSync(dir, constants.W_OK);
    return dir;
  } catch (error) {
    throw new FerryError("FERRY_FILE", `--spool-dir ${dir}: ${fileReason(error)}`, { cause: error });
  }
};

const READ_FROM: readonly ReadPreferenceMode[] = ["primary", "secondaryPreferred", "secondary"];

/** Flags of commands that capture by themselves, as commander hands them over. */
export type CaptureFlags = Omit<Readonly<Record<string, string | undefined>>, keyof NamesFlags | keyof MetricsFlags> &
  NamesFlags &
  MetricsFlags & {
    recopy?: boolean;
    structure?: boolean;
    allowEmpty?: boolean;
  };

/** Adds the flags of the source and its copy. */
export const withCapture = (command: Command): Command =>
  withNames(
    withStateFlags(
      withAddresses(withMetrics(withLog(command)), {
        source: "source MongoDB, a replica set or a sharded cluster",
        target: undefined,
      }),
    ),
    {
      include: "namespaces to copy and stream (default: everything)",
      exclude: "namespaces to skip",
    },
  )
    .option("--allow-empty", "accept names that match nothing on the source yet, and follow them")
    .option("--config <file>", "routes and their rules (default: ferry.yaml here, if it exists)")
    .option("--readers <count>", `ranges that are copied concurrently (default: ${READERS})`)
    .option(
      "--range-documents <count>",
      `documents in one range, about: at most this many are copied again after a crash (default: ${RANGE_DOCUMENTS})`,
    )
    .addOption(
      choiceFlag(
        "--copy-order <order>",
        "order of the copy; measured: by _id, or in natural order where a sample of a large collection shows that this is faster (default: measured)",
        COPY_ORDERS,
      ),
    )
    .option(
      "--max-source-load <ms>",
      "slow the copy down while one small read of the source takes longer than this, ms (95th percentile) (default: no limit)",
    )
    .addOption(
      choiceFlag(
        "--read-preference <mode>",
        "which members the copy reads from; the change stream always reads from the primary (default: primary)",
        READ_FROM,
      ),
    )
    .addOption(
      choiceFlag(
        "--spool <when>",
        "keep the change stream in files while the copy runs; auto: when the copy may outlast the oplog (default: auto)",
        SPOOL_WHEN,
      ),
    )
    .option("--spool-dir <folder>", "folder of the spool (default: spool, below $FERRY_HOME or .ferry)")
    .option(
      "--spool-size <mb>",
      `size limit of the spool, MB; when it is full, only the oplog holds changes (default: ${SPOOL_SIZE})`,
    )
    .option("--recopy", "copy everything again from a new start position, and remove what the source no longer has")
    .option("--no-structure", "do not create collection options, indexes and views");

export type CaptureOptions = Readonly<{
  spec: NamespaceSpec;
  readers: number;
  rangeDocuments: number;
  copyOrder: CopyOrder;
  maxSourceLoad: number;
  readPreference: ReadPreferenceMode;
  spool: SpoolSettings;
  recopy: boolean;
  structure: boolean;
  metricsOpen: boolean;
}> &
  Pick<NamesDeps, "allowEmpty" | "ask">;

/** Splits the flags: those of the capture, and the rest as plain texts. @throws FERRY_USAGE */
export const parseCapture = ({
  include = [],
  exclude = [],
  recopy = false,
  structure = true,
  allowEmpty = false,
  metricsOpen = false,
  ...rest
}: CaptureFlags): CaptureOptions & Readonly<{ texts: Readonly<Record<string, string | undefined>> }> => {
  const texts = rest as Readonly<Record<string, string | undefined>>;
  return {
    spec: namesIn({ include, exclude }),
    readers: wholeNumber("--readers", texts["readers"] ?? READERS, { max: 64 }),
    rangeDocuments: wholeNumber("--range-documents", texts["rangeDocuments"] ?? RANGE_DOCUMENTS),
    copyOrder: chosen<CopyOrder>("--copy-order", texts["copyOrder"] ?? "measured", COPY_ORDERS),
    maxSourceLoad: texts["maxSourceLoad"] === undefined ? 0 : wholeNumber("--max-source-load", texts["maxSourceLoad"]),
    readPreference: chosen("--read-preference", texts["readPreference"] ?? "primary", READ_FROM),
    spool: {
      mode: chosen("--spool", texts["spool"] ?? "auto", SPOOL_WHEN),
      dir: texts["spoolDir"] === undefined ? join(stateFolder(), "spool") : usableFolder(texts["spoolDir"]),
      limitBytes: wholeNumber("--spool-size", texts["spoolSize"] ?? SPOOL_SIZE) * 1024 * 1024,
    },
    recopy,
    structure,
    allowEmpty,
    metricsOpen,
    ask: terminalQuestion(),
    texts,
  };
};

/** @throws FERRY_USAGE */
export const requireStructure = (replaceTarget: boolean, { structure }: Pick<CaptureOptions, "structure">): void => {
  if (replaceTarget && !structure)
    throw new FerryError(
      "FERRY_USAGE",
      "--replace-target creates what it drops; it cannot be combined with --no-structure",
    );
};
