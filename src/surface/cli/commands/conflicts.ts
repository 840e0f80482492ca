import type { Command } from "commander";
import type { ConflictRecord } from "#apply/conflict/conflictRecords.ts";
import { ConflictStore } from "#apply/conflict/conflictStore.ts";
import { bsonText } from "#base/bson/text.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { count } from "#base/flow/figures.ts";
import { conflictFacts } from "#process/report/conflictFacts.ts";
import { identityOfText, keyText } from "#process/report/keyOfText.ts";
import { print, printData } from "#surface/terminal/output.ts";
import { table } from "#surface/terminal/textTable.ts";
import { choiceFlag } from "../choices.ts";
import { type Flags, wholeNumber, withConnections, withState } from "../connections.ts";

type ConflictFlags = Flags & Readonly<{ route?: string; winner?: "source" | "target"; key?: string; limit?: string }>;

const DEFAULT_LIMIT = 100;

/** `ferry conflicts`: documents that the source and services of the target both wrote, and who won. */
export const registerConflicts = (command: Command): void => {
  withConnections(command, ["target", "state"])
    .argument("[id]", "show one conflict with both versions: route/partition/offset")
    .option("--route <name>", "only conflicts of this route")
    .addOption(choiceFlag("--winner <side>", "only those that this side won", ["source", "target"]))
    .option("--key <id>", "only conflicts of this _id, as extended JSON")
    .option("--limit <n>", "show at most this many", String(DEFAULT_LIMIT))
    .action(list);
};

const list = async (id: string | undefined, flags: ConflictFlags): Promise<void> => {
  const { route, winner, key } = flags;
  const limit = wholeNumber("--limit", flags.limit ?? String(DEFAULT_LIMIT));
  const filter = { id, route, winner, identity: key === undefined ? undefined : identityOfText(key) };
  await withState(flags, "ferry conflicts", async (state) => {
    const store = new ConflictStore(state);
    const found = await store.list(filter, limit);
    const [first] = found;
    if (id !== undefined && first === undefined)
      throw new FerryError("FERRY_USAGE", `there is no conflict ${id}; \`ferry conflicts\` shows them`);
    if (flags.json === true) printData(JSON.stringify(found.map(conflictFacts)));
    else if (id !== undefined && first !== undefined) printData(whole(first));
    else print([found.length === 0 ? "no conflicts" : table(found.map(row)), ...(await totals(store))].join("\n"));
  });
};

const row = (record: ConflictRecord): string[] => [
  record.storedAt.toISOString(),
  record._id,
  keyText(record.documentKey.buffer),
  record.policy,
  `${record.winner} won`,
  record.why + (record.fields.length > 0 ? `: ${record.fields.join(", ")}` : ""),
];

const versionText = (version: ConflictRecord["source"], bytes: number): string => {
  if (version !== null) return bsonText(version.buffer);
  return bytes === 0 ? "no document" : `too large to be kept (${count(bytes)} bytes)`;
};

const whole = (record: ConflictRecord): string =>
  [
    table([row(record)]),
    "",
    `source  ${versionText(record.source, record.sourceBytes)}`,
    `target  ${versionText(record.target, record.targetBytes)}`,
  ].join("\n");

const totals = async (store: ConflictStore): Promise<string[]> =>
  (await store.counts()).map(({ route, winner, count: n }) => `${route}: ${count(n)} won by the ${winner}`);
