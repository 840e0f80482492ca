import { livingWorkers } from "#apply/lanes/livingWorkers.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { type ControlServers, required } from "#process/control/cutoverReadiness.ts";
import { identityOfText } from "#process/report/keyOfText.ts";
import { runFacts } from "#process/report/runFacts.ts";
import { limitsIn } from "#process/report/status.ts";
import { AuditLog } from "#process/steer/auditLog.ts";
import { decideDrift } from "#process/steer/decideDrift.ts";
import { decideLetters } from "#process/steer/decideLetters.ts";
import { limitCopy, pauseCapture, resumeCapture, type Steered } from "#process/steer/steerCapture.ts";
import { typeByte } from "#route/drift/typeNames.ts";
import { RunControl, stateOf } from "#source/capture/captureLifecycle.ts";
import { RunCapture } from "#source/capture/runCapture.ts";
import { ConnectorCapture } from "#source/connector/connectorCapture.ts";
import { DEFAULT_LIMIT } from "../contract/shapes.ts";
import { type Asking, authorOf, type Handlers } from "./handler.ts";

/** An answer waits so long for what was asked for to be done, ms; then it tells how far that is. */
const ANSWER_MS = 2000;

const inTime = async (signal: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<void> => {
  const late = AbortSignal.timeout(ANSWER_MS);
  try {
    await work(AbortSignal.any([signal, late]));
  } catch (error) {
    if (!late.aborted) throw error;
  }
};

const steeredRun = async ({ state, clock, logger }: ControlServers, { token }: Asking): Promise<Steered> => {
  const control = new RunControl(state);
  const { record } = await control.seen();
  const capture = new RunCapture({ control, source: undefined, clock, logger });
  return { capture, now: stateOf(record), state, by: authorOf(token) };
};

const connectorState = async ({ connect }: ControlServers, name: string): Promise<string> => {
  const status = await required(connect, "--connect").status(name);
  if (status === undefined) throw new FerryError("FERRY_API_UNKNOWN", `there is no connector ${name}`);
  return status.connector.state;
};

const steeredConnector = async (servers: ControlServers, name: string, { token }: Asking): Promise<Steered> => {
  const { state, connect, clock, logger } = servers;
  const now = await connectorState(servers, name);
  const rest = required(connect, "--connect");
  const capture = new ConnectorCapture({ rest, name, source: undefined, kafka: undefined, clock, logger });
  return { capture, now, state, by: authorOf(token) };
};

/** What changes something: the calls that the commands of the same names make. Each may be repeated. */
export const STEER_HANDLERS = {
  decideDrift: async ({ body: { type = null, ...word } }, { token }, { servers: { state } }) => {
    if (type !== null && typeByte(type) === undefined)
      throw new FerryError("FERRY_USAGE", `${type} is not a BSON type; GET /drift spells them, as string`);
    return { held: await decideDrift({ ...word, type }, { state, by: authorOf(token) }) };
  },

  decideLetters: async ({ body }, { token }, { servers: { state } }) => {
    const { verdict, ids, route, reason: code, key, all = false } = body;
    const identity = key === undefined ? undefined : identityOfText(key);
    const choice = { ...(ids === undefined ? {} : { ids }), route, code, identity, all };
    const { length: noted } = await decideLetters(verdict, choice, { state, by: authorOf(token) });
    return { noted, workers: await livingWorkers(state) };
  },

  pauseRun: async (_, asking, { servers }) => {
    const steered = await steeredRun(servers, asking);
    await inTime(asking.signal, (signal) => pauseCapture(steered, signal));
    return runFacts(await new RunControl(servers.state).seen());
  },

  resumeRun: async (_, asking, { servers }) => {
    await resumeCapture(await steeredRun(servers, asking));
    return runFacts(await new RunControl(servers.state).seen());
  },

  throttleRun: async ({ body }, { token }, { servers: { state } }) => {
    await limitCopy(body, { state, by: authorOf(token) });
    const seen = await new RunControl(state).seen();
    return { ...runFacts(seen), limits: limitsIn(seen.record) };
  },

  pauseConnector: async ({ params: { name } }, asking, { servers }) => {
    const steered = await steeredConnector(servers, name, asking);
    await inTime(asking.signal, (signal) => pauseCapture(steered, signal));
    return { state: await connectorState(servers, name) };
  },

  resumeConnector: async ({ params: { name } }, asking, { servers }) => {
    await resumeCapture(await steeredConnector(servers, name, asking));
    return { state: await connectorState(servers, name) };
  },

  listAudit: async ({ query: { limit = DEFAULT_LIMIT } }, _, { servers: { state } }) => new AuditLog(state).list(limit),
} satisfies Partial<Handlers>;
