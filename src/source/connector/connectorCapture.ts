import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { lookUntil } from "#base/flow/lookUntil.ts";
import type { Logger } from "#base/observe/log.ts";
import type { KafkaClient } from "#io/kafka/client.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import type { ConnectRest } from "#source/connect/connectRest.ts";
import type { Capture } from "#source/stream/capture.ts";
import { RestingSource } from "#source/stream/restingSource.ts";
import { laterOf, type ResumeToken, tokenTime } from "#source/stream/resumeToken.ts";
import { type CaptureConfig, parseConnector } from "./connectorConfig.ts";
import { type OffsetState, offsetState } from "./connectorOffsets.ts";
import { type ProofRequest, proveStream } from "./streamProof.ts";

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
/** Events of one look while something is drained: what is left is proven in one. */
const DRAIN_EVENTS = 20_000;

type DrainSides = Pick<ProofRequest, "capture" | "source" | "kafka"> & Readonly<{ signal: AbortSignal }>;

/** The official connector, steered through Connect. */
export class ConnectorCapture implements Capture {
  readonly name: string;
  readonly #deps: ConnectorCaptureDeps;
  /** Everything up to here is known to be in the topic; a later drain continues there. */
  #proven: ResumeToken | undefined;

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
   * Connect stores positions every few seconds, so the topic itself is asked: a change stream of ferry's own tells which changes
   * there are, and each must be there. Where a pipeline or a mapper hides them, the stored position is waited for.
   * @throws FERRY_USAGE without source or Kafka, a finding that puts data at stake, FERRY_CONNECT_*, FERRY_MONGO_*, FERRY_KAFKA_*,
   * the signal's reason
   */
  async drainTo(at: bigint, signal: AbortSignal): Promise<void> {
    const { source, kafka, clock, logger } = this.#deps;
    if (source === undefined || kafka === undefined)
      throw new FerryError("FERRY_USAGE", "draining a connector needs the source and Kafka");
    await new RestingSource({ client: source, clock, logger }).note();
    const capture = await this.#capture();
    await lookUntil(DRAIN_MS, { clock, signal }, () => this.#isDrained(at, { capture, source, kafka, signal }));
  }

  /** Looks as long as there is more to look at. */
  async #isDrained(at: bigint, sides: DrainSides): Promise<boolean> {
    for (;;) {
      sides.signal.throwIfAborted();
      const stored = await this.#stored(sides.capture);
      if (stored.kind !== "streaming") return false;
      if (tokenTime(stored.token) > at) return true;
      const from: ResumeToken = this.#proven === undefined ? stored.token : laterOf(this.#proven, stored.token);
      const seen = await this.#prove(from, sides);
      this.#proven = seen.upTo;
      if (seen.isComplete && tokenTime(seen.upTo) > at) return true;
      if (tokenTime(seen.upTo) <= tokenTime(from)) return false;
    }
  }

  /** Up to where the topic has everything that the source did after a position. */
  async #prove(from: ResumeToken, sides: DrainSides): Promise<Readonly<{ upTo: ResumeToken; isComplete: boolean }>> {
    const { verified, complete, pendingAt, findings } = await proveStream({
      ...{ ...sides, connector: this.name, from, current: from, clock: this.#deps.clock },
      reread: async () => from,
      settleMs: 0,
      patienceMs: 0,
      limit: DRAIN_EVENTS,
    });
    const atStake = findings.find(({ dataAtStake }) => dataAtStake);
    if (atStake !== undefined) throw new FerryError(atStake.code, atStake.sentence);
    return { upTo: verified, isComplete: complete && pendingAt === undefined };
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
