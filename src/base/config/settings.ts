import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { FerryError } from "#base/errors/ferryError.ts";
import { listed } from "#base/flow/namespaceFilter.ts";
import { ENVIRONMENT } from "./environment.ts";
import { suggestion } from "./suggest.ts";
import { readOneLine } from "./textFile.ts";

/** The values of `--log-level`. */
export const LEVELS = ["debug", "info", "warn", "error", "silent"] as const;

/** The values of `--log-format`. */
export const LOG_FORMATS = ["json", "text"] as const;

/** A host, with its port where that is not 9092. */
const PORT = String.raw`(?:[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])`;
const BROKER = String.raw`\s*(?:\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::${PORT})?\s*`;

/** What MongoDB takes as a database's name, but the server's own. */
const STATE_DB = String.raw`^(?!(?:admin|local|config)$)[^/\\. "$*<>:|?\u0000]{1,63}$`;

/** One of the MongoDB servers. */
const SIDE = String.raw`\s*(?:source|target|state)\s*`;

/** A port, with or without a host before it. */
const METRICS_ADDRESS = String.raw`^(?:(?:\[[0-9a-fA-F:.]+\]|[\w.-]+):)?\d{1,5}$`;

/** Where ferry's state is, by default. */
export const DEFAULT_STATE_DB = "ferry";

/**
 * Where everything is. One schema gives the type, the defaults, the environment names and docs/config.md.
 * Precedence: command line, environment (`env`), the local stack's state file, default. An address (`address`) can hold a
 * password: a flag and a variable more name a file with it, `--source-file` and `FERRY_SOURCE_FILE`.
 */
export const SETTINGS = {
  type: "object",
  properties: {
    source: { type: "string", env: "FERRY_SOURCE", address: true, description: "URI of the source MongoDB." },
    target: { type: "string", env: "FERRY_TARGET", address: true, description: "URI of the target MongoDB." },
    state: {
      type: "string",
      env: "FERRY_STATE",
      address: true,
      description: "URI of the MongoDB that holds ferry's state, where that is not the target.",
    },
    tlsUnchecked: {
      type: "string",
      env: "FERRY_TLS_UNCHECKED",
      pattern: `^${SIDE}(?:,${SIDE})*$`,
      description:
        "MongoDB servers whose URI may take any certificate (tlsInsecure, tlsAllowInvalidCertificates, tlsAllowInvalidHostnames): source, target, state, comma-separated.",
    },
    kafka: {
      type: "string",
      env: "FERRY_KAFKA",
      address: true,
      pattern: `^${BROKER}(?:\\s*,\\s*${BROKER})*$`,
      description: "Kafka bootstrap servers, host:port, comma-separated.",
    },
    kafkaConfig: {
      type: "string",
      env: "FERRY_KAFKA_CONFIG",
      description:
        "Properties file of a Kafka client, as Kafka's own tools take it: security.protocol, sasl.*, ssl.* (docs/53-security.md).",
    },
    connect: {
      type: "string",
      env: "FERRY_CONNECT",
      address: true,
      pattern: "^https?://[^\\s/]+",
      description: "Base URL of Kafka Connect's REST API, such as http://127.0.0.1:8083.",
    },
    connectCa: {
      type: "string",
      env: "FERRY_CONNECT_CA",
      description:
        "PEM file of the authorities whose certificates Kafka Connect may show, where --connect is https; without it those of Node.",
    },
    stateDb: {
      type: "string",
      env: "FERRY_STATE_DB",
      default: DEFAULT_STATE_DB,
      pattern: STATE_DB,
      description:
        "Database that holds ferry's state, on the target or where --state leads; not `admin`, `local` or `config`.",
    },
    group: {
      type: "string",
      env: "FERRY_GROUP",
      default: "ferry",
      description: "Consumer group that offsets are committed to, for Kafka tools.",
    },
    aliveFile: {
      type: "string",
      env: "FERRY_ALIVE_FILE",
      description: "File that a worker touches after each report to the target, for health checks.",
    },
    metrics: {
      type: "string",
      env: "FERRY_METRICS",
      pattern: METRICS_ADDRESS,
      description:
        "Where `ferry run`, `capture` and `worker` serve /metrics, /healthz and /readyz: PORT or HOST:PORT; without a host, and without --metrics-open, on loopback only.",
    },
    logLevel: {
      type: "string",
      enum: LEVELS,
      env: "FERRY_LOG_LEVEL",
      default: "info",
      description: "debug, info, warn, error or silent: the least severe level that is logged.",
    },
    logFormat: {
      type: "string",
      enum: LOG_FORMATS,
      env: "FERRY_LOG_FORMAT",
      description:
        "json or text: the form of the log on stderr; without it text on a terminal, and lines of JSON elsewhere.",
    },
  },
  additionalProperties: false,
} as const;

export type Settings = Record<keyof typeof SETTINGS.properties, string>;

type Setting = Readonly<{
  env: string;
  description: string;
  address?: true;
  default?: string;
  pattern?: string;
  enum?: readonly string[];
}>;

/** Settings that can hold a password. */
export const ADDRESSES = [
  "source",
  "target",
  "state",
  "kafka",
  "connect",
] as const satisfies readonly (keyof Settings)[];
export type Address = (typeof ADDRESSES)[number];

/** What the command line gives: a setting, or the file that it stands in. */
export type SettingFlags = Readonly<Partial<Record<keyof Settings | `${Address}File`, string | undefined>>>;

/** Names under which a setting, or the file with it, is given. */
const namesOf = (name: string, env: string) => ({
  flag: `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
  env,
  fileFlag: `--${name}-file`,
  fileEnv: `${env}_FILE`,
});

/**
 * The environment's names of addresses and of files with them, and of the one where a process is asked: what must not pass on to a
 * process with addresses of its own.
 */
export const addressVariables = (): readonly string[] => [
  ...ADDRESSES.flatMap((name) => {
    const { env, fileEnv } = namesOf(name, (SETTINGS.properties[name] as unknown as { env: string }).env);
    return [env, fileEnv];
  }),
  SETTINGS.properties.metrics.env,
];

/**
 * Settings as a process of ferry's own finds them in its environment, where no other user reads them. A file that one of them was
 * read from is not named there as well: it would be given twice.
 */
export const settingVariables = (
  settings: Readonly<Partial<Record<keyof Settings, string>>>,
): Readonly<Record<string, string | undefined>> =>
  Object.fromEntries(
    Object.entries<Setting>(SETTINGS.properties).flatMap(([name, { env }]) => [
      [env, settings[name as keyof Settings]],
      [namesOf(name, env).fileEnv, undefined],
    ]),
  );

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

/** A damaged file is no matter while every setting is given elsewhere. @throws FERRY_STACK_STATE */
const requireReadableStack = (folder: string): void => {
  const file = join(folder, "stack.json");
  if (existsSync(file) && readStackEndpoints(folder) === undefined)
    throw new FerryError("FERRY_STACK_STATE", `${file} is not a state file of this version`);
};

/** The local stack's endpoints, if one was started from here. */
export const readStackEndpoints = (folder: string = stateFolder()): StackEndpoints | undefined => {
  try {
    return (JSON.parse(readFileSync(join(folder, "stack.json"), "utf8")) as { endpoints?: StackEndpoints }).endpoints;
  } catch {
    return undefined; // no stack here: settings come from the command line and the environment
  }
};

/**
 * A setting at one level, as a value or in a file; undefined if it is not given there.
 * @throws FERRY_USAGE when it is given twice, empty, or in a file that does not hold one line
 */
const given = (
  [value, name]: readonly [value: string | undefined, name: string],
  [file, fileName]: readonly [file: string | undefined, fileName: string],
): string | undefined => {
  if (value !== undefined && file !== undefined)
    throw new FerryError("FERRY_USAGE", `${name} and ${fileName} are both given; give only one`);
  if (value === "") throw new FerryError("FERRY_USAGE", `${name} is empty`);
  return file === undefined ? value : readOneLine(file, fileName);
};

/** @throws FERRY_USAGE without the value, which may hold a password */
const checked = (name: string, value: string, { pattern, enum: known, description }: Setting): string => {
  const fits = pattern === undefined || new RegExp(pattern, "u").test(value);
  if (fits && (known === undefined || known.includes(value))) return value;
  throw new FerryError("FERRY_USAGE", `${name} is invalid: ${description}${suggestion(value, known ?? [])}`);
};

/** Options of a MongoDB URI that take any certificate; names that are percent-encoded are refused where a URI is read. */
const TAKES_ANY = /[?&](tlsInsecure|tlsAllowInvalidCertificates|tlsAllowInvalidHostnames)=(?!false(?:&|$))/i;

/** @throws FERRY_TLS_UNCHECKED for a URI that takes any certificate, where that is not asked for by name */
const requireChecked = (found: Readonly<Record<string, string>>): void => {
  const named = listed(found["tlsUnchecked"] ?? "");
  for (const side of ["source", "target", "state"]) {
    const [, option] = TAKES_ANY.exec(found[side] ?? "") ?? [];
    if (option !== undefined && !named.includes(side))
      throw new FerryError(
        "FERRY_TLS_UNCHECKED",
        `the ${side}'s URI has ${option}: whoever is on the way could read and change what goes there`,
      );
  }
};

/**
 * Settings from flags, environment and local stack. `need` names those the command cannot do without.
 * @throws FERRY_USAGE naming the first that is missing or malformed, and how to give it; FERRY_TLS_UNCHECKED
 */
export const resolveSettings = <K extends keyof Settings>(
  flags: SettingFlags,
  need: readonly K[],
  env: NodeJS.ProcessEnv = process.env,
): Partial<Settings> & Pick<Settings, K | "stateDb" | "group" | "logLevel"> => {
  const stack = readStackEndpoints(stateFolder(env)) as Partial<Record<string, string>> | undefined;
  const found: Record<string, string> = {};
  for (const [name, schema] of Object.entries<Setting>(SETTINGS.properties) as [keyof Settings, Setting][]) {
    const names = namesOf(name, schema.env);
    const [fileFlag, fileEnv] =
      schema.address === true ? [flags[`${name as Address}File`], env[names.fileEnv]] : [undefined, undefined];
    const value =
      given([flags[name], names.flag], [fileFlag, names.fileFlag]) ??
      given([env[schema.env], schema.env], [fileEnv, names.fileEnv]) ??
      stack?.[name] ??
      schema.default;
    if (value !== undefined) found[name] = checked(name, value, schema);
    else if ((need as readonly string[]).includes(name)) {
      requireReadableStack(stateFolder(env));
      throw new FerryError(
        "FERRY_USAGE",
        `${name} is not set; give ${names.flag} or ${schema.env}, or start a local stack with \`ferry stack up\``,
      );
    }
  }
  requireChecked(found);
  return found as ReturnType<typeof resolveSettings<K>>;
};

export type StateSetting = Readonly<{
  uri: string;
  stateDb: string;
  /** For a sentence. */
  side: "target" | "state database";
}>;

/** Where ferry's state is: where `state` says, else on the target. @throws FERRY_USAGE where neither is given */
export const resolveState = (flags: SettingFlags): StateSetting => {
  const { state, target, stateDb } = resolveSettings(flags, []);
  if (state !== undefined) return { uri: state, stateDb, side: "state database" };
  return { uri: target ?? resolveSettings(flags, ["target"]).target, stateDb, side: "target" };
};
