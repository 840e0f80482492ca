import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";

/** So many tokens that are none may come from one address within the time, ms. */
const MOST = 10;
const WITHIN_MS = 60_000;
/** Addresses that are remembered; the oldest is forgotten for a new one. */
const MOST_ADDRESSES = 10_000;

type Tries = { since: number; count: number };

/** Counts tokens that are none, by the address that they came from. */
export class FailedLogins {
  readonly #clock: Pick<Clock, "now">;
  readonly #tries = new Map<string, Tries>();

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
  }

  /** A try counts as failed until `succeeded`: many at once are no way around. @throws FERRY_API_LIMIT */
  begin(address: string): void {
    const now = this.#clock.now();
    const tries = this.#of(address, now);
    if (tries.count >= MOST) {
      const seconds = Math.ceil((tries.since + WITHIN_MS - now) / 1000);
      throw new FerryError(
        "FERRY_API_LIMIT",
        `${address} has presented ${MOST} invalid tokens; try again in ${seconds} s`,
        {
          facts: { retryAfterSeconds: seconds },
        },
      );
    }
    tries.count++;
  }

  /** The last try was none that failed. */
  succeeded(address: string): void {
    const tries = this.#tries.get(address);
    if (tries !== undefined && tries.count > 0) tries.count--;
  }

  #of(address: string, now: number): Tries {
    const known = this.#tries.get(address);
    if (known !== undefined && now - known.since < WITHIN_MS) return known;
    const tries = { since: now, count: 0 };
    this.#tries.delete(address);
    this.#tries.set(address, tries);
    const [oldest] = this.#tries.keys();
    if (this.#tries.size > MOST_ADDRESSES && oldest !== undefined) this.#tries.delete(oldest);
    return tries;
  }
}
