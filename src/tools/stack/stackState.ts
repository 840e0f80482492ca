import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { StackEndpoints } from "#base/config/settings.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { writeAtomically } from "./disk.ts";
import { kafkaReady } from "./kafka.ts";
import { connectReady } from "./kafkaConnect.ts";
import { mongodReady } from "./mongod.ts";
import { type Readiness, recordedProcess, Server, type ServerSpec } from "./server.ts";
import { workerReady } from "./stackWorker.ts";

export type ServerKind = "mongod" | "kafka" | "kafka-connect" | "worker";

/** A server as it is kept between commands: enough to watch, stop and log it without looking for programs again. */
export type ServerRecord = Readonly<{
  kind: ServerKind;
  /** What a client is given: URI, host:port, URL; the target's URI for a worker. */
  address: string;
  /** Ports to ask whether it is ready: its own; for a worker those of the target, where it reports itself. */
  askPorts: readonly number[];
  spec: Omit<ServerSpec, "ready">;
}>;

/**
 * `stack.json`. What was planned: endpoints, ports, servers. What runs is in a pid file beside each log, written by the
 * one that starts a process, so that an interrupted `up` loses no process.
 */
export type StackState = Readonly<{
  version: 1;
  endpoints: StackEndpoints;
  mongoNodes: 1 | 3;
  /** By name; chosen once, since data folders, replica sets and connector offsets remember them. */
  ports: Readonly<Record<string, number>>;
  servers: readonly ServerRecord[];
  stateDb: string;
}>;

const stateFile = (folder: string): string => join(folder, "stack.json");

/** Folder of the servers' data, configuration and logs. */
export const dataFolder = (folder: string): string => join(folder, "stack");

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

const isRecord = (value: unknown): value is ServerRecord =>
  isObject(value) && Array.isArray(value["askPorts"]) && isObject(value["spec"]) && "logFile" in value["spec"];

const isState = (value: unknown): value is StackState =>
  isObject(value) &&
  value["version"] === 1 &&
  Array.isArray(value["servers"]) &&
  value["servers"].every(isRecord) &&
  isObject(value["endpoints"]) &&
  isObject(value["ports"]);

/** The stack that was started from this state folder. @throws FERRY_STACK_STATE when its file cannot be understood. */
export const readState = (folder: string): StackState | undefined => {
  const file = stateFile(folder);
  if (!existsSync(file)) return undefined;
  let state: unknown;
  try {
    state = JSON.parse(readFileSync(file, "utf8"));
  } catch {
    // said below
  }
  if (isState(state)) return state;
  throw new FerryError("FERRY_STACK_STATE", `${file} is not a state file of this version`);
};

export const writeState = (folder: string, state: StackState): Promise<void> =>
  writeAtomically(stateFile(folder), `${JSON.stringify(state, null, 2)}\n`);

/** What is kept of a server that is about to be started. */
export const recordOf = (
  kind: ServerKind,
  address: string,
  { ready: _, ...spec }: ServerSpec,
  askPorts: readonly number[] = spec.ports,
): ServerRecord => ({ kind, address, askPorts, spec });

const readiness = (record: ServerRecord, stateDb: string): (() => Promise<Readiness>) => {
  const [port = 0] = record.askPorts;
  switch (record.kind) {
    case "mongod":
      return () => mongodReady(port);
    case "kafka":
      return () => kafkaReady(port);
    case "kafka-connect":
      return () => connectReady(port);
    case "worker":
      return () => workerReady(record.spec.logFile, record.askPorts, stateDb);
    default:
      return record.kind satisfies never;
  }
};

/** A handle on a recorded server and on its process, if one was started and not stopped. */
export const serverOf = (record: ServerRecord, stateDb: string): Server =>
  new Server({ ...record.spec, ready: readiness(record, stateDb) }, recordedProcess(record.spec.logFile));
