import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Static, Type } from "typebox";
import { Value } from "typebox/value";
import { FerryError } from "#errors/ferryError.ts";
import { ENVIRONMENT } from "./environment.ts";

const LOG_LEVELS = [
  Type.Literal("debug"),
  Type.Literal("info"),
  Type.Literal("warn"),
  Type.Literal("error"),
  Type.Literal("silent"),
];

/**
 * Where everything is. One schema gives the type, the defaults, the environment names and docs/config.md.
 * Precedence: command line, environment (`env`), the local stack's state file, default.
 */
export const SETTINGS = Type.Object(
  {
    source: Type.String({ env: "FERRY_SOURCE", description: "URI of the source MongoDB." }),
    target: Type.String({ env: "FERRY_TARGET", description: "URI of the target MongoDB." }),
    kafka: Type.String({ env: "FERRY_KAFKA", description: "Kafka bootstrap servers, host:port, comma-separated." }),
    connect: Type.String({
      env: "FERRY_CONNECT",
      pattern: "^https?://[^\\s/]+",
      description: "Base URL of Kafka Connect's REST API, such as http://127.0.0.1:8083.",
    }),
    stateDb: Type.String({
      env: "FERRY_STATE_DB",
      default: "ferry",
      description: "Database on the target that holds ferry's state.",
    }),
    group: Type.String({
      env: "FERRY_GROUP",
      default: "ferry",
      description: "Consumer group under which offsets are shown to Kafka tools.",
    }),
    aliveFile: Type.String({
      env: "FERRY_ALIVE_FILE",
      description:
        "File that a worker touches after each report to the target: for health checks, since it has no port.",
    }),
    logLevel: Type.Union(LOG_LEVELS, {
      env: "FERRY_LOG_LEVEL",
      default: "info",
      description: "debug, info, warn, error or silent.",
    }),
  },
  { additionalProperties: false },
);

export type Settings = Static<typeof SETTINGS>;

/** Folder of the local stack's state: `$FERRY_HOME`, else `.ferry` in the working directory. */
export const stateFolder = (env: NodeJS.ProcessEnv = process.env): string =>
  env[ENVIRONMENT.home.env] ?? join(process.cwd(), ".ferry");

/** What `ferry stack up` leaves for the other commands, in `stack.json` of the state folder. */
export type StackEndpoints = Readonly<{
  source: string;
  target: string;
  kafka: string;
  connect: string;
  /** Container-style names to `host:port`, e.g. `mongo-source` → `127.0.0.1:41001`; `ferry cx` translates URIs with it. */
  names: Readonly<Record<string, string>>;
}>;

/** The local stack's endpoints, if one was started from here. */
export const readStackEndpoints = (folder: string = stateFolder()): StackEndpoints | undefined => {
  try {
    return (JSON.parse(readFileSync(join(folder, "stack.json"), "utf8")) as { endpoints?: StackEndpoints }).endpoints;
  } catch {
    return undefined; // no stack here: settings come from the command line and the environment
  }
};

/**
 * Settings from flags, environment and local stack. `need` names those the command cannot do without.
 * @throws FERRY_USAGE naming the first that is missing or malformed, and how to give it.
 */
export const resolveSettings = <K extends keyof Settings>(
  flags: Readonly<Partial<Record<keyof Settings, string | undefined>>>,
  need: readonly K[],
  env: NodeJS.ProcessEnv = process.env,
): Partial<Settings> & Pick<Settings, K | "stateDb" | "group" | "logLevel"> => {
  const stack = readStackEndpoints(stateFolder(env)) as Partial<Record<string, string>> | undefined;
  const found: Record<string, string> = {};
  for (const [name, schema] of Object.entries(SETTINGS.properties) as unknown as [
    keyof Settings,
    { env: string; default?: string },
  ][]) {
    const value = flags[name] ?? env[schema.env] ?? stack?.[name] ?? schema.default;
    if (value !== undefined) found[name] = value;
    else if ((need as readonly string[]).includes(name))
      throw new FerryError(
        "FERRY_USAGE",
        `${name} is not set; give --${name} or ${schema.env}, or start a local stack with \`ferry stack up\``,
      );
  }
  if (!Value.Check(Type.Partial(SETTINGS), found)) {
    const [first] = Value.Errors(Type.Partial(SETTINGS), found);
    const name = first?.instancePath.slice(1) ?? "";
    const { description } = (SETTINGS.properties as unknown as Record<string, { description: string }>)[name] ?? {};
    throw new FerryError("FERRY_USAGE", `${name} is not what it must be: ${description}`); // the value may hold a password
  }
  return found as ReturnType<typeof resolveSettings<K>>;
};
