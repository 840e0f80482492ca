import type { StackEndpoints } from "#base/config/settings.ts";
import { systemClock } from "#base/flow/clock.ts";
import { readState, type ServerKind, type ServerRecord, serverOf } from "./stackState.ts";

/**
 * up: answers. starting: runs but does not answer (yet). crashed: ended without being asked to. stopped: not started, or
 * stopped by `ferry stack down`.
 */
export type ServerState = "up" | "starting" | "crashed" | "stopped";

export type ServerStatus = Readonly<{
  name: string;
  kind: ServerKind;
  state: ServerState;
  address: string;
  ports: readonly number[];
  pid: number | null;
  /** ms since its start; null when it does not run. */
  upMs: number | null;
  log: string;
  /** Why it is not up: what the readiness probe saw, or the end of the log. */
  detail?: string;
}>;

export type StackStatus = Readonly<{
  folder: string;
  endpoints: StackEndpoints | null;
  servers: readonly ServerStatus[];
}>;

const statusOf = async (record: ServerRecord, stateDb: string): Promise<ServerStatus> => {
  const server = serverOf(record, stateDb);
  const base = {
    name: server.name,
    kind: record.kind,
    address: record.address,
    ports: record.spec.ports,
    log: server.logFile,
  };
  const { running } = server;
  if (running === undefined) return { ...base, state: "stopped", pid: null, upMs: null };
  if (!server.isRunning()) return { ...base, state: "crashed", pid: null, upMs: null, detail: server.logTail() };
  const answer = await server.spec.ready();
  const up = { ...base, pid: running.pid, upMs: systemClock.now() - running.startedAt };
  return answer === true ? { ...up, state: "up" } : { ...up, state: "starting", detail: answer };
};

/** How the servers of the local stack are. A folder without a stack has none. @throws FERRY_STACK_STATE. */
export const stackStatus = async (folder: string): Promise<StackStatus> => {
  const state = readState(folder);
  if (state === undefined) return { folder, endpoints: null, servers: [] };
  const servers = await Promise.all(state.servers.map((record) => statusOf(record, state.stateDb)));
  return { folder, endpoints: state.endpoints, servers };
};
