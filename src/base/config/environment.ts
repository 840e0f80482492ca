/** An environment variable that has no flag. */
export type Variable = Readonly<{ env: string; otherwise: string; description: string }>;

/**
 * The environment variables besides those of the settings. One list gives the code its names and docs/config.md its table.
 * Tests have one more, `FERRY_FAULT`: docs/60-tests-and-benches.md.
 */
export const ENVIRONMENT = {
  home: {
    env: "FERRY_HOME",
    otherwise: "`.ferry` in the working directory",
    description: "Folder of the local stack: its state, its servers' data and their logs.",
  },
  cache: {
    env: "FERRY_CACHE",
    otherwise: "`$XDG_CACHE_HOME/ferry`, else `~/.cache/ferry`",
    description: "Folder of the programs that the local stack fetches.",
  },
  mirrorMongodb: {
    env: "FERRY_MIRROR_MONGODB",
    otherwise: "the official site",
    description: "Base URL of a site with MongoDB's downloads.",
  },
  mirrorApache: {
    env: "FERRY_MIRROR_APACHE",
    otherwise: "the official sites",
    description: "Base URL of a site with Apache's downloads (Kafka, Maven).",
  },
} as const satisfies Readonly<Record<string, Variable>>;

/** The environment variables that a command of the operator is given, in `--fence hook:COMMAND` and `--on-release COMMAND`. */
export const FOR_COMMANDS = {
  step: { env: "FERRY_STEP", description: "What the command is run for: `fence`, `lift` or `release`." },
  namespaces: {
    env: "FERRY_NAMESPACES",
    description: "Namespaces of the source that are switched over, comma-separated; empty: everything that is carried.",
  },
} as const satisfies Readonly<Record<string, Omit<Variable, "otherwise">>>;
