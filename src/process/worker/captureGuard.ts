import type { RunStore } from "#apply/lanes/runStore.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import type { Logger } from "#base/observe/log.ts";
import type { KafkaAddress } from "#io/kafka/address.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import { topicsFor } from "#io/kafka/topicName.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import type { ConnectAddress } from "#source/connect/connectAddress.ts";
import { ConnectRest } from "#source/connect/connectRest.ts";
import { parseConnector, topicsInScope } from "#source/connector/connectorConfig.ts";
import { checkCapture } from "#source/connector/connectorHealth.ts";
import type { ConnectorStore } from "#source/connector/connectorStore.ts";
import type { ConnectorFinding } from "#source/connector/finding.ts";

export type CaptureGuardOptions = Readonly<{
  connect: ConnectAddress;
  kafka: KafkaAddress;
  source: MongoClient;
  connectors: ConnectorStore;
  runs: RunStore;
  clock: Clock;
  logger: Logger;
}>;

/** A route and the topic that it reads. */
export type Guarded = Readonly<{ name: string; from: string }>;

/**
 * Watches the connectors that feed a worker's topics: a state RUNNING is no proof of life. A finding that puts data at
 * stake halts the routes in the connector's scope for every worker; the others are logged once.
 */
export class CaptureGuard implements AsyncDisposable {
  readonly #options: CaptureGuardOptions;
  readonly #kafka: KafkaClient;
  readonly #said = new Set<string>();

  constructor(options: CaptureGuardOptions) {
    this.#options = options;
    this.#kafka = new KafkaClient({ ...options.kafka, clientId: "ferry-capture-guard", group: "ferry" });
  }

  #rest(signal: AbortSignal): ConnectRest {
    return new ConnectRest({ ...this.#options.connect, clock: this.#options.clock, signal, giveUpAfterMs: 0 });
  }

  /**
   * One look. A Connect or source that is away right now is not a finding: what was captured can still be applied.
   * @param accepted error codes accepted with --accept
   * @returns whether the connectors could be looked at
   * @throws the finding's code where data is at stake, after halting the routes that read its topics.
   */
  async check(routes: readonly Guarded[], accepted: ReadonlySet<string>, signal: AbortSignal): Promise<boolean> {
    const { source, connectors, clock, logger } = this.#options;
    const rest = this.#rest(signal);
    try {
      const deps = { rest, clock, signal, source, kafka: this.#kafka, store: connectors };
      for (const found of (await checkCapture(deps)).findings) {
        this.#say(found);
        if (found.dataAtStake) await this.#halt(found, routes, accepted, rest);
      }
      return true;
    } catch (error) {
      if (!isFerry(error) || error.entry.retry === "never") throw error;
      logger.debug({ stage: "capture", code: error.code, err: error.detail }, "the connectors could not be looked at");
      return false;
    }
  }

  #say({ code, sentence, remedy }: ConnectorFinding): void {
    if (this.#said.has(sentence)) return;
    this.#said.add(sentence);
    this.#options.logger.warn({ stage: "capture", code, hint: remedy }, sentence);
  }

  async #halt(
    found: ConnectorFinding,
    routes: readonly Guarded[],
    accepted: ReadonlySet<string>,
    rest: ConnectRest,
  ): Promise<void> {
    const config = await rest.config(found.connector);
    const known = (await this.#options.connectors.find(found.connector))?.topics ?? [];
    const topics = routes.flatMap(({ from }) => [from, ...topicsFor(from)]);
    const scope = new Set([...known, ...(config === undefined ? [] : topicsInScope(parseConnector(config), topics))]);
    const error = new FerryError(found.code, found.sentence);
    const concerned = routes.filter(
      ({ from }) => [from, ...topicsFor(from)].some((topic) => scope.has(topic)) && !accepted.has(found.code),
    );
    for (const { name } of concerned) await this.#options.runs.halt(name, error);
    if (concerned.length > 0) throw error;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#kafka[Symbol.asyncDispose]();
  }
}
