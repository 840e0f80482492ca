import type { Command } from "commander";
import { bsonText } from "#base/bson/text.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { count } from "#base/flow/figures.ts";
import { type DriftLine, driftFacts, readTimeline } from "#process/report/driftTimeline.ts";
import { type DriftWord, decideDrift } from "#process/steer/decideDrift.ts";
import { DriftLedger } from "#route/drift/ledger.ts";
import { typeByte } from "#route/drift/typeNames.ts";
import { print, printJson } from "#surface/terminal/output.ts";
import { table } from "#surface/terminal/textTable.ts";
import { choiceArgument } from "../choices.ts";
import { cliAuthor } from "../cliAuthor.ts";
import { type Flags, withConnections, withState } from "../connections.ts";

type DriftFlags = Flags & Readonly<{ route?: string; since?: string; all?: boolean; type?: string }>;

/** `ferry drift`: the fields and types that appeared, and what was done with them; `ferry drift decide` changes it. */
export const registerDrift = (command: Command): void => {
  withConnections(command, ["target", "state"])
    .option("--route <name>", "only fields of this route")
    .option("--since <time>", "only what appeared since then (ISO time, or seconds of a cluster time)")
    .option("--all", "the whole ledger, with the fields that the copy had")
    .action(timeline);
  withConnections(command.command("decide"), ["target", "state"])
    .description("pass a field or drop it; held documents are applied")
    .argument("<route>", "name of the route")
    .argument("<path>", "the field, as `ferry drift` prints it")
    .addArgument(choiceArgument("<verdict>", "pass: write the field; drop: leave it out", ["pass", "drop"]))
    .option("--type <name>", "only where the field has this type")
    .action((route: string, path: string, verdict: DriftWord["verdict"], _flags: DriftFlags, command: Command) =>
      decide({ route, path, verdict }, command.optsWithGlobals<DriftFlags>()),
    );
};

/** Seconds since the epoch. @throws FERRY_USAGE */
const sinceOf = (text: string | undefined): number => {
  if (text === undefined) return 0;
  const seconds = /^\d+$/.test(text) ? Number(text) : Date.parse(text) / 1000;
  if (Number.isNaN(seconds)) throw new FerryError("FERRY_USAGE", `--since ${text} is neither an ISO time nor seconds`);
  return seconds;
};

const timeline = async (flags: DriftFlags): Promise<void> => {
  const since = sinceOf(flags.since);
  await withState(flags, "ferry drift", async (state) => {
    const lines = await readTimeline(new DriftLedger(state), flags.route);
    const shown = lines.filter(({ baseline, first }) => (flags.all === true || !baseline) && first.seconds >= since);
    if (flags.json === true) printJson(shown.map(driftFacts));
    else print(shown.length === 0 ? "no drift" : table(shown.map(row)));
  });
};

const time = (seconds: number): string =>
  seconds === 0 ? "in the copy" : new Date(seconds * 1000).toISOString().replace(".000", "");

const row = ({ route, path, type, kind, baseline, first, count: n, example, outcome }: DriftLine): string[] => [
  time(first.seconds),
  route,
  `${path} (${type})`,
  baseline ? "known from the start" : kind === "field" ? "new field" : "new type",
  outcome,
  `${count(n)}×`,
  `first at [${first.partition}] ${first.offset}${example === null ? "" : `, ${bsonText(example)}`}`,
];

const decide = async (
  { route, path, verdict }: Readonly<{ route: string; path: string; verdict: DriftWord["verdict"] }>,
  flags: DriftFlags,
): Promise<void> => {
  const type = flags.type ?? null;
  if (type !== null && typeByte(type) === undefined)
    throw new FerryError("FERRY_USAGE", `--type ${type} is not a BSON type; \`ferry drift\` spells them, as string`);
  await withState({ ...flags, route }, "ferry drift", async (state) => {
    const held = await decideDrift({ route, path, type, verdict }, { state, by: cliAuthor() });
    if (flags.json === true) printJson({ route, path, type, verdict, held });
    else
      print(
        `${path}: ${verdict === "pass" ? "written" : "left out"} from now on; ${held} held events are applied again`,
      );
  });
};
