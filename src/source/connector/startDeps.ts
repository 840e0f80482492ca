import type { Clock } from "#base/flow/clock.ts";
import type { KafkaClient } from "#io/kafka/client.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import type { ConnectRest } from "#source/connect/connectRest.ts";
import type { ConnectorStore } from "./connectorStore.ts";

/** What a start reports to its observer. */
export type StartEvent =
  | Readonly<{ kind: "said"; sentence: string }>
  /** `expected` is an estimate and may be passed; rates are of the whole copy so far. */
  | Readonly<{ kind: "progress"; copied: number; expected: number; perSecond: number }>;

/** What starting a connector needs. The caller owns and closes all of it. */
export type StartDeps = Readonly<{
  rest: ConnectRest;
  /** The database that the connector reads. */
  source: MongoClient;
  store: ConnectorStore;
  kafka: KafkaClient;
  clock: Clock;
  signal?: AbortSignal | undefined;
  report: (event: StartEvent) => void;
  /** How long a connector may take to reach a state that needs no copying, ms. */
  settleMs?: number;
}>;
