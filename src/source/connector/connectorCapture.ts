import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { lookUntil } from "#base/flow/lookUntil.ts";
import type { Logger } from "#base/observe/log.ts";
import type { KafkaClient } from "#io/kafka/client.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import type { ConnectRest } from "#source/connect/connectRest.ts";
import type { Capture } from "#source/stream/capture.ts";
import { RestingSource } from "#source/stream/restingSource.ts";
import { tokenTime } from "#source/stream/resumeToken.ts";
import { Arrivals } from "./arrivals.ts";
import { type CaptureConfig, parseConnector } from "./connectorConfig.ts";
import { type OffsetState, offsetState } from "./connectorOffsets.ts";
import { changesInScope } from "./ownStream.ts";

export type ConnectorCaptureDeps = Readonly<{
  rest: ConnectRest;
  /** Of the connector. */
  name: string;
  /** Undefined where nothing is drained. */
  source: MongoClient | undefined;
  kafka: KafkaClient | undefined;
  clock: Clock;
  logger: Logger;
}>;

/** How often Connect is asked, ms; and while something is drained. */
const LOOK_MS = 100;
const DRAIN_MS = 20;
/** Changes of one look while something is drained, and how long they may take, ms: what is left is looked at in the next. */
const DRAIN_EVENTS = 20_000;
const DRAIN_STREAM_MS = 3000;

/** The official connector, steered through Connect. */
export class ConnectorCapture implements Capture {
  readonly name: string;
  readonly #deps: ConnectorCaptureDeps;
  /** A later drain continues where the last one ended. */
  #arrivals: Arrivals | undefined;

  constructor(deps: ConnectorCaptureDeps) {
    this.name = deps.name;
    this.#deps = deps;
  }

  /** @throws FERRY_CONNECT_*, the signal's reason */
  async pause(signal: AbortSignal): Promise<void> {
    const { rest, clock } = this.#deps;
    await rest.pause(this.name);
    await lookUntil(LOOK_MS, { clock, signal }, async () => {
      const status = await rest.status(this.name);
      const states = status === undefined ? [] : [status.connector, ...status.tasks].map(({ state }) => state);
      return states.length > 0 && states.every((state) => state !== "RUNNING" && state !== "RESTARTING");
    });
  }

  /** @throws FERRY_CONNECT_* */
  resume(): Promise<void> {
    return this.#deps.rest.resume(this.name);
  }

  /** What Connect has stored: the connector is at least there. @throws FERRY_CONNECT_* */
  async position(): Promise<bigint | undefined> {
    const stored = await this.#stored(await this.#capture());
    return stored.kind === "streaming" ? tokenTime(stored.token) : undefined;
  }

  /**
   * @throws FERRY_USAGE without source or Kafka, FERRY_CAPTURE_GAP, FERRY_CAPTURE_REOPENED, FERRY_CONNECT_*, FERRY_MONGO_*,
   * FERRY_KAFKA_*, the signal's reason
   */
  async drainTo(at: bigint, signal: AbortSignal): Promise<void> {
    const { source, kafka, clock, logger } = this.#deps;
    if (source === undefined || kafka === undefined)
      throw new FerryError("FERRY_USAGE", "draining a connector needs the source and Kafka");
    this.#arrivals ??= new Arrivals({
      ...{ connector: this.name, kafka, clock },
      changes: (capture, after, until) =>
        changesInScope({ capture, source, after, until, limit: DRAIN_EVENTS, maxMs: DRAIN_STREAM_MS, clock }),
    });
    await new RestingSource({ client: source, clock, logger }).note();
    const [arrivals, capture] = [this.#arrivals, await this.#capture()];
    await lookUntil(DRAIN_MS, { clock, signal }, async () => {
      const stored = await this.#stored(capture);
      return stored.kind === "streaming" && arrivals.haveAll(at, { capture, stored: stored.token, signal });
    });
  }

  /** @throws FERRY_CONNECT_MISSING, FERRY_CONNECT_* */
  async #capture(): Promise<CaptureConfig> {
    const config = await this.#deps.rest.config(this.name);
    if (config === undefined) throw new FerryError("FERRY_CONNECT_MISSING", `there is no connector ${this.name}`);
    return parseConnector(config);
  }

  async #stored({ partition }: CaptureConfig): Promise<OffsetState> {
    return offsetState(await this.#deps.rest.offsets(this.name), partition);
  }
}
