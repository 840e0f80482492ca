import type { Clock } from "#base/flow/clock.ts";

/** The target's answers are judged this often, ms. */
const WINDOW_MS = 500;
/** Of so many answers one may be slow: the 95th percentile is what is held against the limit. */
const PERCENTILE = 0.95;
/** Written even if the target is always slow: a migration that stops never ends. */
const LEAST = 0.02;
/** Down immediately, up in steps: several clients can share a capacity of unknown size (AIMD, as in TCP). */
const DOWN = 0.6;
const UP = 0.05;
/** Above this part of the limit nothing is raised, so that the share does not swing around it. */
const CALM = 0.8;
/** A worker begins carefully: what it may do to this target is not known yet. */
const FIRST = 0.1;
const LONGEST_PAUSE_MS = 5000;
const SMALLEST_BATCH = 100;

/**
 * Slows lanes down while the target answers its services more slowly than the operator allows. Lanes write for a share of
 * the time, and in smaller batches; the share follows from what the target answers to a probe.
 */
export class Throttle {
  readonly #limitMs: number;
  readonly #clock: Clock;
  #share = FIRST;
  #latencyMs: number | undefined;
  #samples: number[] = [];
  #judgedAt: number;

  /** @param limitMs what the 95th percentile of the target's answers may be */
  constructor(limitMs: number, clock: Clock) {
    this.#limitMs = limitMs;
    this.#clock = clock;
    this.#judgedAt = clock.now();
  }

  /** Part of the time in which lanes may write, 0.02 to 1, and the 95th percentile of the answers, ms, that it follows from. */
  get state(): Readonly<{ share: number; latencyMs: number | null; limitMs: number }> {
    return { share: this.#share, latencyMs: this.#latencyMs ?? null, limitMs: this.#limitMs };
  }

  /** The target has answered a probe after `ms`. */
  answered(ms: number): void {
    this.#samples.push(ms);
    const now = this.#clock.now();
    if (now - this.#judgedAt < WINDOW_MS) return;
    const sorted = this.#samples.sort((a, b) => a - b);
    const found = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * PERCENTILE))] ?? 0;
    this.#samples = [];
    this.#judgedAt = now;
    this.#latencyMs = found;
    if (found > this.#limitMs) this.#share = Math.max(LEAST, this.#share * DOWN);
    else if (found < this.#limitMs * CALM) this.#share = Math.min(1, this.#share + UP);
  }

  /** How many records one transaction may carry now: a long one makes others wait however rarely it comes. */
  batchCount(most: number): number {
    return Math.min(most, Math.max(SMALLEST_BATCH, Math.round(most * this.#share ** 2)));
  }

  /** How long a lane rests after it wrote for `ms`, ms. */
  restAfter(ms: number): number {
    return Math.min(LONGEST_PAUSE_MS, ms * (1 / this.#share - 1));
  }
}
