import type { Clock } from "#base/flow/clock.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { eventTime } from "#source/stream/rawEvent.ts";
import { lastMsOf, type ResumeToken, tokenTime } from "#source/stream/resumeToken.ts";
import type { Scope } from "#source/stream/scope.ts";
import { clockOf } from "#source/stream/sourceProbe.ts";
import { firstChange } from "./firstChange.ts";

/** The source is silent for longer than it ever is at rest, ms: then only the position tells how old the target is. */
const SILENT_MS = 3000;

/**
 * The oldest change of the source that is not durable downstream, by the source's own time. A position is saved when
 * everything before it is on the target, so it is the first event after the saved one.
 */
export class Unapplied {
  readonly #clock: Clock;
  #oldest: bigint | undefined;
  /** The first event after the position that is about to be saved. */
  #next: bigint | undefined;
  #isLive = false;
  #repliedAt: number;
  #position: ResumeToken;

  constructor(clock: Clock, position: ResumeToken) {
    this.#clock = clock;
    this.#repliedAt = clock.now();
    this.#position = position;
  }

  /** @param isMarked a position before these events is about to be saved. @param isLive nothing lay between them and the source's newest */
  took(events: readonly Uint8Array[], token: ResumeToken, isMarked: boolean, isLive: boolean): void {
    this.#repliedAt = this.#clock.now();
    this.#position = token;
    this.#isLive = isLive && events.length === 0;
    const [first] = events;
    const at = first && eventTime(first);
    if (at === undefined) return;
    if (isMarked) this.#next ??= at;
    this.#oldest ??= at;
  }

  saved(): void {
    this.#oldest = this.#next;
    this.#next = undefined;
  }

  /** Age of that change, ms; 0 where there is none. @param now by the source's clock */
  age(now: number): number {
    const isCurrent = this.#isLive && this.#clock.now() - this.#repliedAt < SILENT_MS;
    const at = this.#oldest ?? (isCurrent ? undefined : tokenTime(this.#position));
    return at === undefined ? 0 : Math.max(0, now - lastMsOf(at));
  }
}

/** The source's clock as this process sees it: asked now and then, and kept going in between. */
export class SourceClock {
  readonly #ask: () => Promise<number>;
  readonly #clock: Clock;
  #ahead = 0;
  #askedAt = Number.NEGATIVE_INFINITY;

  /** @param ask the source for its time, ms since the epoch */
  constructor(ask: () => Promise<number>, clock: Clock) {
    this.#ask = ask;
    this.#clock = clock;
  }

  /** The same by what is known of it by now: the source is not asked. */
  get known(): number {
    return this.#clock.now() + this.#ahead;
  }

  /** Never waits: a source that is away is asked again later. ms since the epoch. */
  now(): number {
    const now = this.#clock.now();
    if (now - this.#askedAt > 10_000) {
      this.#askedAt = now;
      void this.#ask()
        .then((there) => {
          this.#ahead = there - this.#clock.now();
        })
        .catch(() => undefined); // asked again; the readers of the source report its errors
    }
    return this.known;
  }
}

/** Lag of a run that stands still: the first change after its position, looked for until there is one. */
export class StandingLag {
  readonly #source: MongoClient;
  readonly #carried: Readonly<{ scope: Scope; timeSeries: boolean }>;
  readonly #now: SourceClock;
  #seenTo: ResumeToken;
  #first: bigint | undefined;

  constructor(
    source: MongoClient,
    carried: Readonly<{ scope: Scope; timeSeries: boolean }>,
    position: ResumeToken,
    clock: Clock,
  ) {
    this.#source = source;
    this.#carried = carried;
    this.#seenTo = position;
    this.#now = new SourceClock(() => clockOf(source), clock);
  }

  /** ms. @throws FERRY_MONGO_*, the signal's reason */
  async age(signal: AbortSignal): Promise<number> {
    if (this.#first === undefined) {
      const from = { after: this.#seenTo };
      const { at, seenTo } = await firstChange({ source: this.#source, ...this.#carried, from, signal });
      this.#first = at;
      this.#seenTo = seenTo;
    }
    return this.#first === undefined ? 0 : Math.max(0, this.#now.now() - lastMsOf(this.#first));
  }
}
