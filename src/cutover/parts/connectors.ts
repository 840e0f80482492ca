import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import type { Logger } from "#base/observe/log.ts";
import { type LookDeps, lettersAndHalts } from "#cutover/ending/lastLook.ts";
import { workersDrained } from "#cutover/ending/workersDrained.ts";
import type { Carrier, SourceTime } from "#cutover/machine/parts.ts";
import type { KafkaClient } from "#io/kafka/client.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import type { Unrestored } from "#source/capture/captureLifecycle.ts";
import type { ConnectRest } from "#source/connect/connectRest.ts";
import { ConnectorCapture } from "#source/connector/connectorCapture.ts";
import { checkCapture } from "#source/connector/connectorHealth.ts";
import type { ConnectorStore } from "#source/connector/connectorStore.ts";
import { clusterTime } from "#source/stream/sourceProbe.ts";
import { readCarriedRun } from "./carriedRun.ts";

export type ConnectorsDeps = Omit<LookDeps, "accepted"> &
  Readonly<{
    /** Is a namespace of the source switched over? */
    has: (ns: string) => boolean;
    source: MongoClient;
    kafka: KafkaClient;
    rest: ConnectRest;
    store: ConnectorStore;
    accepted: readonly string[];
    /** Older changes than this may not wait, ms. */
    maxLagMs: number;
    /** Only some namespaces are switched over: the connectors continue with the others. */
    partly: boolean;
    /** Services of what is switched over write to the target: the run carries it no longer, after this time. */
    moved: (at: SourceTime) => Promise<void>;
    /** Restores what is left of these. */
    restoreRest: (signal: AbortSignal) => Promise<readonly Unrestored[]>;
    clock: Clock;
    logger: Logger;
  }>;

/** How often the lanes are looked at while services wait, ms. */
const LOOK_MS = 10;
/** How long the first look may take, ms. */
const PROOF_MS = 30_000;

/** The official connectors, with workers behind Kafka. */
export class Connectors implements Carrier {
  readonly #deps: ConnectorsDeps;
  readonly #byName = new Map<string, ConnectorCapture>();

  constructor(deps: ConnectorsDeps) {
    this.#deps = deps;
  }

  async unready(): Promise<readonly FerryError[]> {
    const { state, routes, only, accepted, rest, source, kafka, store, clock } = this.#deps;
    const copying = (await store.all()).filter((record) => record.state !== "streaming");
    if (copying.length > 0)
      return copying.map(({ _id }) => new FerryError("FERRY_CUTOVER_EARLY", `connector ${_id} copies`));
    const { findings } = await checkCapture({ rest, source, kafka, store, clock });
    const known = await lettersAndHalts({ state, routes, only, accepted: new Set(accepted) });
    const found = [
      ...findings.map(({ code, sentence }) => new FerryError(code, sentence)),
      ...(known === undefined ? [] : [known]),
    ].filter(({ code }) => !accepted.includes(code));
    const late = found.length === 0 ? await this.#late() : undefined;
    return late === undefined ? found : [late];
  }

  /**
   * A connector's lag is noted nowhere, so it is tried: what the source has now must arrive within the limit. The first look proves
   * what was written since the position that Connect has stored, seconds ago; the second one is measured.
   */
  async #late(): Promise<FerryError | undefined> {
    return (await this.#arrives(PROOF_MS)) ?? (await this.#arrives(this.#deps.maxLagMs));
  }

  /** @returns why what the source has now does not arrive in time */
  async #arrives(limitMs: number): Promise<FerryError | undefined> {
    const now = (await clusterTime(this.#deps.source)).toBigInt();
    const limit = AbortSignal.timeout(limitMs);
    try {
      await this.drainTo(now, limit);
      return undefined;
    } catch (error) {
      if (isFerry(error) && error.entry.retry === "never") return error;
      if (!limit.aborted) throw error;
      return new FerryError("FERRY_CUTOVER_EARLY", `pending changes take longer than ${limitMs} ms`, { cause: error });
    }
  }

  async hurry(): Promise<void> {
    // A connector asks the source all the time, and hands over what it gets at once.
  }

  async drainTo(at: SourceTime, signal: AbortSignal): Promise<void> {
    const { kafka, state, routes, has, clock } = this.#deps;
    const topics = (await readCarriedRun(state)).topics.filter(({ name }) => has(name));
    await Promise.all((await this.#captures()).map((capture) => capture.drainTo(at, signal)));
    await workersDrained({ kafka, state, routes, topics, lookMs: LOOK_MS, clock, signal, report: () => undefined });
  }

  /** Connectors stay, paused. Resuming one does no harm: what it captures from now on is not applied. */
  async end(at: SourceTime, signal: AbortSignal): Promise<readonly Unrestored[]> {
    await this.#deps.moved(at);
    if (!this.#deps.partly) for (const capture of await this.#captures()) await capture.pause(signal);
    return this.#deps.restoreRest(signal);
  }

  /** The same ones each time: they remember how much is proven, and services wait for the rest only. */
  async #captures(): Promise<readonly ConnectorCapture[]> {
    const { rest, source, kafka, store, clock, logger } = this.#deps;
    return (await store.all()).map(({ _id: name }) => {
      const known = this.#byName.get(name) ?? new ConnectorCapture({ rest, name, source, kafka, clock, logger });
      this.#byName.set(name, known);
      return known;
    });
  }
}
