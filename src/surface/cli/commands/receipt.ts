import { writeFileSync } from "node:fs";
import type { Command } from "commander";
import { readConfig } from "#base/config/routes.ts";
import { resolveSettings } from "#base/config/settings.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { systemClock } from "#base/flow/clock.ts";
import { NamespaceFilter } from "#base/flow/namespaceFilter.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import { connectMongo, type MongoClient } from "#io/mongo/connect.ts";
import { type Receipt, readReceipt } from "#proof/receipt/format.ts";
import { differencesFrom, makeReceipt, type ReceiptDeps, routeOf } from "#proof/receipt/makeReceipt.ts";
import { readCarried } from "#proof/verify/carried.ts";
import { commaSeparated, type Flags, withConnections, withState, withTarget } from "../connections.ts";
import { print, printJson } from "../output.ts";
import { withSignals } from "../signals.ts";
import { count } from "../table.ts";
import { VERSION } from "../version.ts";

type ReceiptFlags = Flags & Readonly<{ config?: string; include?: string; out?: string }>;

/** `ferry receipt`: what is on both sides, in a form that anybody can check. */
export const registerReceipt = (program: Command): void => {
  const receipt = withConnections(program.command("receipt"), ["source", "target", "kafka", "stateDb"])
    .description("write counts and digests of both sides as JSON that a third party can recompute")
    .option("--config <file>", "routes and their rules (default: ferry.yaml here, where there is one)")
    .option("--include <names>", "namespaces of the source, comma-separated, or globs (default: everything)")
    .option("--out <file>", "where to write it (default: standard output)")
    .action(make);
  withConnections(receipt.command("check"), ["source", "target", "stateDb"])
    .description("read both sides again and say what is not as a receipt has it")
    .argument("<file>", "what `ferry receipt` wrote")
    .action((file: string, flags: ReceiptFlags) => check(file, { ...receipt.opts<ReceiptFlags>(), ...flags }));
};

/** Both sides for `work`; the source is closed behind it. */
const withSource = (
  flags: ReceiptFlags,
  { target, stateDb }: Readonly<{ target: MongoClient; stateDb: string }>,
  work: (deps: Omit<ReceiptDeps, "routes">) => Promise<void>,
): Promise<void> =>
  withSignals(async ({ soft: signal }) => {
    const source = await connectMongo(resolveSettings(flags, ["source"]).source, { appName: "ferry receipt" });
    try {
      await work({ source, target, stateDb, version: VERSION, clock: systemClock, signal });
    } finally {
      await source.close();
    }
  });

const make = (flags: ReceiptFlags): Promise<void> =>
  withState(flags, "ferry receipt", (target, stateDb) =>
    withSource(flags, { target, stateDb }, async (deps) => {
      const { kafka: bootstrap } = resolveSettings(flags, []);
      const names = { clientId: "ferry-receipt", group: "ferry-receipt" };
      await using kafka = bootstrap === undefined ? undefined : new KafkaClient({ bootstrap, ...names });
      const include = commaSeparated(flags.include);
      const filter = new NamespaceFilter(include.length === 0 ? ["*"] : include, []);
      const { routes } = await readCarried({ ...deps, routes: readConfig(flags.config).routes, filter, kafka });
      const receipt = await makeReceipt({ ...deps, routes });
      if (flags.out === undefined) return printJson(receipt, 2);
      writeFileSync(flags.out, `${JSON.stringify(receipt, null, 2)}\n`);
      if (flags.json === true) printJson({ out: flags.out, equal: receipt.equal, still: receipt.still });
      else print(`${flags.out}: ${summary(receipt)}`);
    }),
  );

const summary = ({ namespaces, equal, still }: Receipt): string => {
  const documents = namespaces.reduce((sum, { target }) => sum + target.count, 0);
  const verdict = equal === null ? "services of the target own a part of it" : equal ? "both sides equal" : "not equal";
  const note = still ? "" : "; it was written to meanwhile, so the digests are of no one moment";
  return `${count(namespaces.length)} namespaces, ${count(documents)} documents on the target, ${verdict}${note}`;
};

const check = (file: string, flags: ReceiptFlags): Promise<void> =>
  withTarget(flags, "ferry receipt", (target, stateDb) =>
    withSource(flags, { target, stateDb }, async (deps) => {
      const was = readReceipt(file);
      const is = await makeReceipt({ ...deps, routes: was.namespaces.map(routeOf) });
      const changed = differencesFrom(was, is);
      if (flags.json === true) printJson({ changed, equal: is.equal, still: is.still });
      else for (const { route, sets } of changed) print(`${route}: ${sets.join(", ")} changed`);
      if (changed.length > 0)
        throw new FerryError("FERRY_RECEIPT_CHANGED", changed.map(({ route }) => route).join(", "));
      if (flags.json !== true) print(`as the receipt of ${was.madeAt} has it: ${summary(is)}`);
    }),
  );
