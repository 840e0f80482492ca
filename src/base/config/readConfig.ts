import { existsSync } from "node:fs";
import { FerryError } from "#base/errors/ferryError.ts";
import type { Config } from "./routes.ts";
import { readTextFile } from "./textFile.ts";

/** The file in the working directory that is taken without being asked for. */
const DEFAULT_FILE = "ferry.yaml";

/** The file given, else `ferry.yaml` here; the defaults where there is none. @throws FERRY_CONFIG */
export const readConfig = async (file: string | undefined): Promise<Config> => {
  const path = file ?? DEFAULT_FILE;
  if (file === undefined && !existsSync(path)) return { routes: undefined, ddl: {} };
  const text = readTextFile(path, (reason) => new FerryError("FERRY_CONFIG", `${path}: ${reason}`));
  const { parseConfig } = await import("./configFile.ts");
  return parseConfig(text, path);
};
