import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ferry, MAIN } from "./ferryCommand.ts";
import { running } from "./pair.ts";
import { type BenchStack, deleteConnector } from "./stack.ts";
import { recommended } from "./topics.ts";

/** Who carries: `ferry run`; `ferry capture`, Kafka and a worker; the official connector, Kafka and a worker. */
export const TOPOLOGIES = ["direct", "capture", "connector"] as const;
export type Topology = (typeof TOPOLOGIES)[number];

/** Carries the collection `users` of the database `name`, which exists, until it is disposed of. */
export const carrying = async (topology: Topology, stack: BenchStack, name: string): Promise<AsyncDisposable> => {
  const sides = ["--source", stack.source.uri, "--target", stack.target.uri, "--state-db", `ferry_${name}`];
  const quiet = ["--log-level", "error"];
  const kafka = ["--kafka", stack.kafka.bootstrap];
  const start = (command: string, ...args: readonly string[]): AsyncDisposable =>
    running(process.execPath, [MAIN, command, ...sides, ...args, ...quiet]);
  const include = ["--include", `${name}.*`];
  await using own = new AsyncDisposableStack();
  switch (topology) {
    case "direct":
      own.use(start("run", ...include));
      break;
    case "capture":
      own.use(start("capture", ...kafka, ...include));
      own.use(start("worker", ...kafka, "--topics", `${name}.*`));
      break;
    case "connector": {
      await beginConnector(stack, name, [...sides, ...kafka]);
      own.defer(() => deleteConnector(stack.connect.url, name));
      own.use(start("worker", ...kafka, "--topics", `${name}.*`));
      break;
    }
    default:
      topology satisfies never;
  }
  return own.move();
};

const beginConnector = async (stack: BenchStack, name: string, flags: readonly string[]): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "ferry-bench-connector-"));
  const config = recommended(stack.source.uri, "users", {
    database: name,
    "startup.mode.copy.existing.namespace.regex": `^${name}\\.users$`,
    "offset.partition.name": name,
    "poll.await.time.ms": "200",
    "heartbeat.interval.ms": "1000",
  });
  const file = join(folder, "connector.json");
  writeFileSync(file, JSON.stringify({ name, config }));
  try {
    await ferry(["cx", file, ...flags, "--connect", stack.connect.url]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};
