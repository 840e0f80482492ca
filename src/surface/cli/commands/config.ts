import type { Command } from "commander";
import { CONFIG } from "#base/config/configFile.ts";
import { destinationText } from "#base/config/destination.ts";
import { readConfig } from "#base/config/readConfig.ts";
import type { Config, Route } from "#base/config/routes.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { RouteFilter } from "#route/filter/routeFilter.ts";
import { requireFits } from "#sink/open/fits.ts";
import { print, printJson } from "#surface/terminal/output.ts";
import { table } from "#surface/terminal/textTable.ts";

const CONFIG_FLAG = ["--config <file>", "the file (default: ferry.yaml here)"] as const;

const rulesOf = ({ fields, where }: Route): string => {
  const parts = Object.entries(fields ?? {}).map(([rule, given]) => `${rule} ${Object.keys(given).length}`);
  if (where !== undefined) parts.push("where");
  return parts.length === 0 ? "unchanged" : parts.join(", ");
};

/** A configuration that must be there, with its routes. @throws FERRY_CONFIG */
const configOf = async (file: string | undefined): Promise<Config & Readonly<{ routes: readonly Route[] }>> => {
  const { routes, ddl } = await readConfig(file);
  if (routes === undefined)
    throw new FerryError("FERRY_CONFIG", "there are no routes: give --config FILE, or write a ferry.yaml here");
  return { routes, ddl };
};

/** Its routes. @throws FERRY_CONFIG */
export const routesOf = async (file: string | undefined): Promise<readonly Route[]> => (await configOf(file)).routes;

/** `ferry config check | schema`: is the configuration right, and what may it hold? */
export const registerConfig = (command: Command): void => {
  command
    .command("check")
    .description("check the whole file: keys, values, rules that contradict each other, salts that are not set")
    .option(...CONFIG_FLAG)
    .option("--json", "print the facts as one JSON value")
    .action(async ({ config: file, json }: { config?: string; json?: boolean }) => {
      const { routes, ddl } = await configOf(file);
      for (const route of routes) new RouteFilter(route);
      requireFits(routes, { ddl });
      if (json === true) printJson({ routes });
      else
        print(
          table(routes.map((route) => [route.name, `${route.from} → ${destinationText(route.to)}`, rulesOf(route)])),
        );
    });
  command
    .command("schema")
    .description("print the JSON Schema of ferry.yaml, for editors")
    .action(() => printJson(CONFIG, 2));
};
