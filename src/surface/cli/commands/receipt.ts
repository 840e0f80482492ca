import { writeFileSync } from "node:fs";
import type { Command } from "commander";
import { FerryError } from "#base/errors/ferryError.ts";
import { count } from "#base/flow/figures.ts";
import { type Receipt, readReceipt } from "#proof/receipt/format.ts";
import { differencesFrom, makeReceipt, routeOf } from "#proof/receipt/makeReceipt.ts";
import { readCarriedCollections } from "#proof/verify/carried.ts";
import { print, printJson } from "#surface/terminal/output.ts";
import { type BothFlags, withBothSides, withCarried } from "../bothSides.ts";
import { withConnections, withPlaces, withTarget } from "../connections.ts";
import { sayLeftOut } from "../verifyText.ts";
import { VERSION } from "../version.ts";

type ReceiptFlags = BothFlags & Readonly<{ out?: string }>;

/** `ferry receipt`: what is on both sides, in a form that a third party can check. */
export const registerReceipt = (receipt: Command): void => {
  withCarried(withConnections(receipt, ["source", "target", "kafka", "state"]))
    .option("--out <file>", "output file (default: standard output)")
    .action(make);
  withConnections(receipt.command("check"), ["source", "target", "state"])
    .description("read both sides again and print the differences from a receipt")
    .argument("<file>", "file that `ferry receipt` wrote")
    .action((file: string, flags: ReceiptFlags) => check(file, { ...receipt.opts<ReceiptFlags>(), ...flags }));
};

const make = (flags: ReceiptFlags): Promise<void> =>
  withTarget(flags, "ferry receipt", (target, state) =>
    withBothSides(flags, "ferry receipt", { target, state }, async (deps) => {
      const carried = await readCarriedCollections(deps);
      const { routes } = carried;
      sayLeftOut(carried);
      const receipt = await makeReceipt({ ...deps, routes, version: VERSION });
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
  return `${count(namespaces.length, "namespace")}, ${count(documents, "document")} on the target, ${verdict}${note}`;
};

const check = (file: string, flags: ReceiptFlags): Promise<void> =>
  withPlaces(flags, "ferry receipt", (target, state) =>
    withBothSides(flags, "ferry receipt", { target, state }, async (deps) => {
      const was = readReceipt(file);
      const is = await makeReceipt({ ...deps, routes: was.namespaces.map(routeOf), version: VERSION });
      const changed = differencesFrom(was, is);
      if (flags.json === true) printJson({ changed, equal: is.equal, still: is.still });
      else for (const { route, sets } of changed) print(`${route}: ${sets.join(", ")} changed`);
      if (changed.length > 0)
        throw new FerryError("FERRY_RECEIPT_CHANGED", changed.map(({ route }) => route).join(", "));
      if (flags.json !== true) print(`as the receipt of ${was.madeAt} has it: ${summary(is)}`);
    }),
  );
