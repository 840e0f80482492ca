import { join } from "node:path";
import type { Command } from "commander";
import { stateFolder } from "#base/config/settings.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { NamespaceSpec } from "#base/flow/namespaceFilter.ts";
import type { ReadPreferenceMode } from "#io/mongo/connect.ts";
import type { NamesDeps } from "#process/capture/carriedNames.ts";
import type { OwnCaptureDeps } from "#source/capture/ownCapture.ts";
import { COPY_ORDERS, type CopyOrder } from "#source/copy/copyOrder.ts";
import type { SpoolMode } from "#source/spool/spoolNeed.ts";
import { wholeNumber, withAddresses } from "./connections.ts";
import { type NamesFlags, namesIn, withNames } from "./namesFlags.ts";
import { terminalQuestion } from "./question.ts";

const READERS = "4";
const RANGE_DOCUMENTS = "50000";

/** MB. */
const SPOOL_SIZE = "10240";
const SPOOL_WHEN: readonly SpoolMode[] = ["auto", "always", "never"];

const spoolModeOf = (text: string): SpoolMode => {
  const mode = SPOOL_WHEN.find((known) => known === text);
  if (mode === undefined)
    throw new FerryError("FERRY_USAGE", `--spool must be ${SPOOL_WHEN.join(", ")}, not "${text}"`);
  return mode;
};

const READ_FROM: readonly ReadPreferenceMode[] = ["primary", "secondaryPreferred", "secondary"];

const readPreferenceOf = (text: string): ReadPreferenceMode => {
  const mode = READ_FROM.find((known) => known.toLowerCase() === text.toLowerCase());
  if (mode === undefined)
    throw new FerryError("FERRY_USAGE", `--read-preference must be ${READ_FROM.join(", ")}, not "${text}"`);
  return mode;
};

const copyOrderOf = (text: string): CopyOrder => {
  const order = COPY_ORDERS.find((known) => known === text);
  if (order === undefined)
    throw new FerryError("FERRY_USAGE", `--copy-order must be ${COPY_ORDERS.join(", ")}, not "${text}"`);
  return order;
};

/** Flags of commands that capture by themselves, as commander hands them over. */
export type CaptureFlags = Omit<Readonly<Record<string, string | undefined>>, keyof NamesFlags> &
  NamesFlags & {
    recopy?: boolean;
    structure?: boolean;
    allowEmpty?: boolean;
  };

/** Adds what is said about the source. */
export const withCapture = (command: Command): Command =>
  withNames(
    withAddresses(command, { source: "source MongoDB, a replica set or a sharded cluster", target: undefined }),
    {
      include: "namespaces to carry (default: everything)",
      exclude: "namespaces to leave out",
    },
  )
    .option("--allow-empty", "names that nothing on the source bears yet are no misspellings: follow them")
    .option("--config <file>", "routes and their rules (default: ferry.yaml here, where there is one)")
    .option("--readers <count>", `ranges that are copied at once (default: ${READERS})`)
    .option(
      "--range-documents <count>",
      `documents of one range, about: what a kill may cost at most (default: ${RANGE_DOCUMENTS})`,
    )
    .option(
      "--copy-order <order>",
      "measured: ranges of _id, or natural order for large collections with random keys where a sample shows it to be faster; natural; id (default: measured)",
    )
    .option(
      "--max-source-load <ms>",
      "copy more slowly while the source takes longer than this, ms, for one small read (95th percentile): its services come first (default: as fast as it goes)",
    )
    .option(
      "--read-preference <mode>",
      `where the copy reads: ${READ_FROM.join(", ")}; the change stream stays with the primary (default: primary)`,
    )
    .option(
      "--spool <when>",
      `keep the change stream in files while the copy runs: ${SPOOL_WHEN.join(", ")} (default: auto, when the copy may outlast the oplog)`,
    )
    .option("--spool-dir <folder>", "where (default: spool, below $FERRY_HOME or .ferry)")
    .option(
      "--spool-size <mb>",
      `how much at most, MB; beyond it only the oplog holds changes (default: ${SPOOL_SIZE})`,
    )
    .option("--recopy", "copy everything again from a new start, and remove what the source no longer has")
    .option("--no-structure", "leave the collections' options, indexes and views to somebody else")
    .option("--state-db <name>", "ferry's database on the target")
    .option("--log-level <level>", "debug, info, warn, error or silent");

export type CaptureOptions = Readonly<{
  spec: NamespaceSpec;
  readers: number;
  rangeDocuments: number;
  copyOrder: CopyOrder;
  maxSourceLoad: number;
  readPreference: ReadPreferenceMode;
  spool: OwnCaptureDeps["spool"];
  recopy: boolean;
  structure: boolean;
}> &
  Pick<NamesDeps, "allowEmpty" | "ask">;

/** Splits the flags: those of the capture, and the rest as plain texts. @throws FERRY_USAGE */
export const parseCapture = ({
  include = [],
  exclude = [],
  recopy = false,
  structure = true,
  allowEmpty = false,
  ...rest
}: CaptureFlags): CaptureOptions & Readonly<{ texts: Readonly<Record<string, string | undefined>> }> => {
  const texts = rest as Readonly<Record<string, string | undefined>>;
  return {
    spec: namesIn({ include, exclude }),
    readers: wholeNumber("--readers", texts["readers"] ?? READERS, { max: 64 }),
    rangeDocuments: wholeNumber("--range-documents", texts["rangeDocuments"] ?? RANGE_DOCUMENTS),
    copyOrder: copyOrderOf(texts["copyOrder"] ?? "measured"),
    maxSourceLoad: texts["maxSourceLoad"] === undefined ? 0 : wholeNumber("--max-source-load", texts["maxSourceLoad"]),
    readPreference: readPreferenceOf(texts["readPreference"] ?? "primary"),
    spool: {
      mode: spoolModeOf(texts["spool"] ?? "auto"),
      dir: texts["spoolDir"] ?? join(stateFolder(), "spool"),
      limitBytes: wholeNumber("--spool-size", texts["spoolSize"] ?? SPOOL_SIZE) * 1024 * 1024,
    },
    recopy,
    structure,
    allowEmpty,
    ask: terminalQuestion(),
    texts,
  };
};

/** @throws FERRY_USAGE */
export const requireStructure = (replaceTarget: boolean, { structure }: Pick<CaptureOptions, "structure">): void => {
  if (replaceTarget && !structure)
    throw new FerryError("FERRY_USAGE", "--replace-target builds what it drops; --no-structure forbids that");
};
