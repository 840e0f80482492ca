import { isDeepStrictEqual } from "node:util";
import type { Clock } from "#base/flow/clock.ts";
import { every } from "#base/flow/every.ts";
import type { Namespace } from "#base/flow/types.ts";
import { Awaited } from "#base/observe/awaited.ts";
import type { Logger } from "#base/observe/log.ts";
import { type MongoClient, openMember, type ReadPreferenceMode } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { withHost } from "#io/mongo/uriParts.ts";
import { Pace, SOURCE_PROBE } from "#io/pace/pace.ts";
import type { SourceProbeData } from "#io/pace/readProbe.ts";
import type { CopySource } from "./copySource.ts";
import { type CopyLimits, SourcePace } from "./sourcePace.ts";

export type CopySourceDeps = Readonly<{
  settings: Readonly<{ source: string }>;
  readPreference: ReadPreferenceMode;
  /** The longest that the source may take for a small read, ms; 0: however long. */
  maxSourceLoad: number;
  runId: string;
  clock: Clock;
  logger: Logger;
}>;

/** What the copy reads from, as fast as it may now. */
export type SteadyCopySource = CopySource &
  AsyncDisposable &
  Readonly<{
    /** From now on. */
    limit: (limits: CopyLimits) => void;
  }>;

/** A reply of the copy that takes longer than this, ms, is worth a line. */
const LONG_MS = 10_000;

/** How the copy reads: from which member, and how much of the time. */
class ReadSource implements SteadyCopySource {
  readonly #source: MongoClient;
  readonly #deps: CopySourceDeps;
  /** Clients of single members by host: a cursor lives on the member that opened it. */
  readonly #members = new Map<string, MongoClient>();
  readonly #ns: Namespace | undefined;
  /** Feeds the pace, where what a small read takes is limited. */
  #probe: Pace | undefined;
  #pace: SourcePace | undefined;
  #changed = new AbortController();
  #slow = false;
  #limits: CopyLimits | undefined;
  /** Probes that are replaced, until they have ended. */
  readonly #gone: Promise<void>[] = [];

  constructor(source: MongoClient, ns: Namespace | undefined, deps: CopySourceDeps) {
    this.#source = source;
    this.#deps = deps;
    this.#ns = ns;
    this.limit({});
  }

  get pace(): CopySource["pace"] {
    return this.#pace;
  }

  limit(limits: CopyLimits): void {
    if (isDeepStrictEqual(limits, this.#limits)) return;
    const isFirst = this.#limits === undefined;
    this.#limits = limits;
    const { maxSourceLoad, clock, logger } = this.#deps;
    const { maxSourceLoadMs = maxSourceLoad, documentsPerSecond: perSecond = 0 } = limits;
    this.#replaceProbe(maxSourceLoadMs);
    const former = this.#changed;
    this.#changed = new AbortController();
    const throttle = this.#probe?.throttle;
    this.#pace =
      throttle === undefined && perSecond === 0
        ? undefined
        : new SourcePace({ throttle, perSecond }, { clock, changed: this.#changed.signal });
    former.abort();
    if (isFirst) return;
    const load =
      maxSourceLoadMs === 0 ? "no limit of the source's load" : `at most ${maxSourceLoadMs} ms for a small read`;
    const rate = perSecond === 0 ? "no limit of its rate" : `at most ${perSecond} documents a second`;
    logger.info({ stage: "copy" }, `the copy's limits, as an operator wants them: ${load}, ${rate}`);
  }

  #replaceProbe(limitMs: number): void {
    if ((this.#probe?.throttle.state.limitMs ?? 0) === limitMs) return;
    if (this.#probe !== undefined) this.#gone.push(this.#probe[Symbol.asyncDispose]());
    this.#probe = undefined;
    const ns = this.#ns;
    if (limitMs === 0 || ns === undefined) return;
    const { settings, readPreference, runId, clock } = this.#deps;
    const data: SourceProbeData = { uri: settings.source, appName: `${runId}-source-probe`, ns, readPreference };
    this.#probe = new Pace(limitMs, SOURCE_PROBE, data, clock, () => this.#say());
  }

  #say(): void {
    const { latencyMs, limitMs, share } = this.#probe?.throttle.state ?? { latencyMs: null, limitMs: 0, share: 1 };
    if (latencyMs === null || latencyMs > limitMs === this.#slow) return;
    this.#slow = !this.#slow;
    const fields = { stage: "copy", ms: Math.round(latencyMs), share };
    const { logger } = this.#deps;
    if (this.#slow)
      logger.warn(fields, `the source takes more than ${limitMs} ms for a small read: copying slows down`);
    else logger.info(fields, `the source takes less than ${limitMs} ms for a small read again: copying speeds up`);
  }

  async client(): Promise<MongoClient> {
    const { readPreference, settings, runId } = this.#deps;
    if (readPreference === "primary" || this.#source.options.directConnection) return this.#source;
    const hello = await translated("choosing a member to copy from", () =>
      this.#source.db("admin").command({ hello: 1 }, { readPreference }),
    );
    const host = hello["me"] as string | undefined;
    if (host === undefined) return this.#source; // a mongos, which routes by the preference
    let member = this.#members.get(host);
    if (member === undefined) {
      member = openMember(this.#source, withHost(settings.source, host), host, `${runId}-copy`);
      this.#members.set(host, member);
      this.#deps.logger.info(
        { stage: "copy" },
        `copying from ${host}, ${hello["secondary"] === true ? "a secondary" : "the primary"}`,
      );
    }
    return member;
  }

  async answer<T>(reply: Promise<T>): Promise<T> {
    const { clock, logger, readPreference } = this.#deps;
    const member = readPreference === "primary" ? "the source" : `the source's member to copy from (${readPreference})`;
    const awaited = new Awaited(member, { clock, logger });
    const done = new AbortController();
    const watch = every(LONG_MS, { clock, ended: done.signal, first: "later" }, async () =>
      awaited.missing("it has the copy's request and does not answer"),
    );
    try {
      const value = await reply;
      awaited.back();
      return value;
    } finally {
      done.abort();
      await watch;
    }
  }

  get readPreference(): ReadPreferenceMode {
    return this.#deps.readPreference;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#probe?.[Symbol.asyncDispose](), ...this.#gone]);
    await Promise.all([...this.#members.values()].map((client) => client.close()));
  }
}

/**
 * What the copy reads from; the caller disposes of it.
 * @param ns where a small read tells how the source is doing; undefined where nothing is copied
 */
export const openCopySource = (
  source: MongoClient,
  ns: Namespace | undefined,
  deps: CopySourceDeps,
): SteadyCopySource => new ReadSource(source, ns, deps);
