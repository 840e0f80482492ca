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

export type CopySourceDeps = Readonly<{
  settings: Readonly<{ source: string }>;
  readPreference: ReadPreferenceMode;
  /** The longest that the source may take for a small read, ms; 0: however long. */
  maxSourceLoad: number;
  runId: string;
  clock: Clock;
  logger: Logger;
}>;

/** A reply of the copy that takes longer than this, ms, is worth a line. */
const LONG_MS = 10_000;

/** How the copy reads: from which member, and how much of the time. */
class ReadSource implements CopySource, AsyncDisposable {
  readonly #source: MongoClient;
  readonly #deps: CopySourceDeps;
  /** Clients of single members by host: a cursor lives on the member that opened it. */
  readonly #members = new Map<string, MongoClient>();
  readonly #pace: Pace | undefined;
  #slow = false;

  constructor(source: MongoClient, ns: Namespace | undefined, deps: CopySourceDeps) {
    this.#source = source;
    this.#deps = deps;
    const { maxSourceLoad, settings, readPreference, runId, clock } = deps;
    if (maxSourceLoad === 0 || ns === undefined) return;
    const data: SourceProbeData = { uri: settings.source, appName: `${runId}-source-probe`, ns, readPreference };
    this.#pace = new Pace(maxSourceLoad, SOURCE_PROBE, data, clock, () => this.#say());
  }

  get pace(): CopySource["pace"] {
    return this.#pace?.throttle;
  }

  #say(): void {
    const { latencyMs, limitMs, share } = this.pace?.state ?? { latencyMs: null, limitMs: 0, share: 1 };
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
    await this.#pace?.[Symbol.asyncDispose]();
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
): CopySource & AsyncDisposable => new ReadSource(source, ns, deps);
