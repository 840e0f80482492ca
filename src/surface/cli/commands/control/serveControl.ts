import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { hostname } from "node:os";
import { readConfig } from "#base/config/readConfig.ts";
import { resolveSettings, resolveState } from "#base/config/settings.ts";
import { systemClock } from "#base/flow/clock.ts";
import { pauseFor } from "#base/flow/every.ts";
import { retryForever } from "#base/flow/retry.ts";
import type { Logger } from "#base/observe/log.ts";
import { type MongoClient, openMongo } from "#io/mongo/connect.ts";
import { requireState } from "#io/state/knownState.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { ControlLease } from "#process/control/controlLease.ts";
import { CopyRate } from "#process/control/copyRate.ts";
import type { ControlServers } from "#process/control/cutoverReadiness.ts";
import { CONTROL_LEASE_MS, inControl } from "#process/control/inControl.ts";
import { SharedReading } from "#process/control/sharedReading.ts";
import { SwitchDesk } from "#process/control/switchDesk.ts";
import { readOverview } from "#process/report/overview.ts";
import { openApiServer } from "#surface/api/apiServer.ts";
import type { ControlParts } from "#surface/api/handlers/handler.ts";
import type { ListenPlace } from "../../listenFlags.ts";
import { ANSWER_MS, connectorParts, statusConnect, statusKafka } from "../../statusParts.ts";
import { type SwitchingFlags, switchFlags } from "./switchFlags.ts";

/** How old the overview may be that is answered with, ms. */
const FRESH_MS = 1000;

/** Everything is connected with its first use: control starts, and says what is away, while servers are away. */
const openServers = async (
  flags: SwitchingFlags,
  { clients, logger }: Readonly<{ clients: AsyncDisposableStack; logger: Logger }>,
): Promise<ControlServers> => {
  const settings = resolveSettings(flags, []);
  const place = resolveState(flags);
  const open = (uri: string): MongoClient => {
    const client = openMongo(uri, { appName: "ferry control", timeoutMs: ANSWER_MS, answerMs: ANSWER_MS });
    clients.defer(() => client.close());
    return client;
  };
  const memory = open(place.uri);
  const { target } = settings;
  const kafka = statusKafka(settings, "ferry-control");
  return {
    source: settings.source === undefined ? undefined : open(settings.source),
    target: target === undefined ? undefined : target === place.uri ? memory : open(target),
    state: new StateDb(memory, place.stateDb),
    kafka: kafka && clients.use(kafka),
    connect: statusConnect(settings),
    routes: (await readConfig(flags.config)).routes,
    clock: systemClock,
    logger,
  };
};

const overviewOf = ({ state, kafka, connect: rest, source, clock }: ControlServers): ControlParts["overview"] => {
  const capture = kafka && rest && connectorParts({ kafka, rest, source, state });
  const rate = new CopyRate();
  const read = async () => {
    const found = await readOverview({ state, kafka, capture });
    return { ...found, rate: rate.note(found.own, clock.now()) };
  };
  return new SharedReading(read, { clock, freshMs: FRESH_MS });
};

export type ServeUntil = Readonly<{
  /** The operator's stop: what was begun over HTTP goes back where it still can. */
  signal: AbortSignal;
  logger: Logger;
  /** What it is served beside has ended: what was begun over HTTP comes to its end, and is shown, before it returns. */
  ended?: AbortSignal;
}>;

/** A page that watches sees how a job ended, ms. */
const SHOWN_MS = 3000;

/** Aborts when there is nothing to serve any more. */
const servedUntil = (desk: SwitchDesk, { signal, ended }: ServeUntil): AbortSignal => {
  const over = new AbortController();
  const finish = async (): Promise<void> => {
    await desk[Symbol.asyncDispose]();
    if (desk.last !== undefined) await pauseFor(systemClock, SHOWN_MS, signal);
    over.abort(ended?.reason);
  };
  if (ended?.aborted === true) void finish();
  else ended?.addEventListener("abort", () => void finish(), { once: true });
  return AbortSignal.any([signal, over.signal]);
};

/**
 * Serves the API while this process is in control, and stands by while another one is. What was begun over HTTP is waited for
 * before it returns.
 * @throws FERRY_CONTROL_ADDRESS, FERRY_USAGE, what the state database refuses for good, the signal's reason
 */
export const serveControl = async (flags: SwitchingFlags, place: ListenPlace, until: ServeUntil): Promise<void> => {
  const chosen = switchFlags(flags); // said before anything is connected
  await using clients = new AsyncDisposableStack();
  const servers = await openServers(flags, { clients, logger: until.logger });
  const { state, clock, logger } = servers;
  const desk = clients.use(new SwitchDesk(servers, { flags: chosen, signal: until.signal }));
  const signal = servedUntil(desk, until);
  const parts = { servers, overview: overviewOf(servers), desk };
  const owner = `${hostname()}/${process.pid}/${randomBytes(2).toString("hex")}`;
  const lease = new ControlLease(state, { owner, leaseMs: CONTROL_LEASE_MS });
  await retryForever(() => requireState(state), {
    ...{ what: "looking for ferry's state", clock, signal },
    onRetry: ({ detail }, attempt) => {
      if (attempt === 3) logger.warn({ stage: "control", err: detail }, "waiting for the state database");
    },
  });
  await inControl({ lease, clock, logger, signal }, async (ended) => {
    await using api = await openApiServer(parts, { ...place, signal: ended });
    logger.info({ stage: "control" }, `in control at ${api.url}`);
    if (!ended.aborted) await once(ended, "abort");
  });
};
