import { type Settings, stateFolder } from "#base/config/settings.ts";
import { systemClock } from "#base/flow/clock.ts";
import { kafkaAddress } from "#io/kafka/address.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { connectAddress } from "#source/connect/connectAddress.ts";
import { ConnectRest } from "#source/connect/connectRest.ts";
import type { ConnectorHealthDeps } from "#source/connector/connectorHealth.ts";
import { ConnectorStore } from "#source/connector/connectorStore.ts";
import { readState } from "#tools/stack/stackState.ts";

/** One that is set but does not answer must not hide the rest: each part says for itself that it could not be read. */
export const ANSWER_MS = 5000;

type PartSettings = Partial<Settings> & Pick<Settings, "group">;

/** Undefined for a `ferry run`, which has none. The caller disposes of it. */
export const statusKafka = (settings: PartSettings, clientId: string): KafkaClient | undefined =>
  settings.kafka === undefined
    ? undefined
    : new KafkaClient({ ...kafkaAddress(settings), clientId, group: settings.group });

/** Undefined where no connector captures. */
export const statusConnect = (settings: PartSettings): ConnectRest | undefined =>
  settings.connect === undefined
    ? undefined
    : new ConnectRest({ ...connectAddress(settings), clock: systemClock, giveUpAfterMs: ANSWER_MS });

/** The log of a Connect that the local stack runs: it tells what the REST API does not. */
const connectLog = (url: string): string | undefined => {
  try {
    const state = readState(stateFolder());
    if (state?.endpoints.connect !== url) return undefined;
    return state.servers.find(({ kind }) => kind === "kafka-connect")?.spec.logFile;
  } catch {
    return undefined; // another version's state file: `ferry stack` says so, the status does without
  }
};

type Connected = Readonly<{
  kafka: KafkaClient;
  rest: ConnectRest;
  source: MongoClient | undefined;
  state: StateDb | undefined;
}>;

/** What tells how connectors are. */
export const connectorParts = ({ kafka, rest, source, state }: Connected): ConnectorHealthDeps => ({
  ...{ rest, kafka, source, clock: systemClock },
  logFile: connectLog(rest.url),
  store: state && new ConnectorStore(state),
});
