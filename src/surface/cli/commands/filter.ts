import type { Command } from "commander";
import { bsonText } from "#base/bson/text.ts";
import { resolveSettings } from "#base/config/settings.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { count } from "#base/flow/figures.ts";
import { connectMongo } from "#io/mongo/connect.ts";
import { type Trial, tryFilter } from "#process/report/filterTry.ts";
import { printData } from "#surface/terminal/output.ts";
import { type Flags, wholeNumber, withConnections } from "../connections.ts";
import { routesOf } from "./config.ts";

type TryFlags = Flags & Readonly<{ config?: string; sample: string }>;

/** `ferry filter try ROUTE`: what a route does to real documents, before anything starts. */
export const registerFilter = (command: Command): void => {
  const attempt = command
    .command("try")
    .description("sample documents of the source and show them before and after the route's rules; writes nothing")
    .argument("<route>", "name of a route in ferry.yaml")
    .option("--config <file>", "routes and their rules (default: ferry.yaml here)")
    .option("--sample <n>", "number of documents to sample", "20");
  withConnections(attempt, ["source"]).action(tryRoute);
};

const tryRoute = async (name: string, flags: TryFlags): Promise<void> => {
  const routes = await routesOf(flags.config);
  const route = routes.find((one) => one.name === name);
  if (route === undefined)
    throw new FerryError(
      "FERRY_USAGE",
      `there is no route ${name}; there are ${routes.map((one) => one.name).join(", ")}`,
    );
  const sample = wholeNumber("--sample", flags.sample);
  const { source } = resolveSettings(flags, ["source"]);
  const client = await connectMongo(source, { side: "source", appName: "ferry filter" });
  try {
    const trial = await tryFilter(route, client, sample);
    if (flags.json === true) printData(JSON.stringify(facts(trial)));
    else printData(formatTrial(trial));
  } finally {
    await client.close();
  }
};

const facts = ({ documents, ...rest }: Trial): object => ({
  ...rest,
  documents: documents.map(({ before, after, lost }) => ({
    before: JSON.parse(bsonText(before)),
    after: after === undefined ? null : JSON.parse(bsonText(after)),
    lost,
  })),
});

const formatTrial = ({ route, documents, lost, leftOut, bytesBefore, bytesAfter }: Trial): string => {
  const saved = bytesBefore === 0 ? 0 : Math.round((1 - bytesAfter / bytesBefore) * 100);
  const paths = Object.entries(lost).sort(([, a], [, b]) => b - a);
  return [
    ...documents.flatMap(({ before, after }) => [
      `- ${bsonText(before)}`,
      `+ ${after === undefined ? "(left out by where)" : bsonText(after)}`,
      "",
    ]),
    `${route}: ${count(documents.length, "document")}, ${leftOut} left out by where`,
    paths.length === 0 ? "no field is left out" : `left out: ${paths.map(([path, n]) => `${path} (${n})`).join(", ")}`,
    `${bytesBefore} → ${bytesAfter} bytes, ${saved} % saved`,
  ].join("\n");
};
