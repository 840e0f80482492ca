import type { CognitoPlace } from "#base/config/cognitoDestination.ts";
import type { Clock } from "#base/flow/clock.ts";

/** AWS's request rate categories, and their default calls a second in an account and region. Source: Amazon Cognito, "Quotas". */
export const DEFAULT_QUOTAS = {
  UserCreation: 50,
  UserUpdate: 25,
  UserRead: 120,
  UserList: 30,
  UserResourceRead: 50,
  UserAccountRecovery: 30,
  UserPoolRead: 15,
  UserPoolResourceRead: 5, // of one pool
  UserPoolResourceUpdate: 15,
} as const satisfies Required<NonNullable<CognitoPlace["quotas"]>>;

export type QuotaClass = keyof typeof DEFAULT_QUOTAS;

/** Calls that were not made for so long may be made at once, ms: a late timer costs no rate. */
const BURST_MS = 200;
/** What is left of the rate when Cognito refuses a call, and which part of the quota comes back in a second. */
const CUT = 0.7;
const REGAIN_PER_SECOND = 0.05;
/** Never slower than this part of the quota. */
const LEAST = 0.02;

/**
 * Lets calls of one class pass at its quota, evenly. The quota is the account's: where others use it too, Cognito refuses calls,
 * and the rate goes down by a third for each round of refusals and comes back slowly.
 */
export class Quota {
  readonly #most: number;
  readonly #clock: Clock;
  #rate: number;
  #nextAt = Number.NEGATIVE_INFINITY;
  #regainedAt: number;
  #cutAt = Number.NEGATIVE_INFINITY;

  /** @param most calls a second */
  constructor(most: number, clock: Clock) {
    this.#most = most;
    this.#rate = most;
    this.#clock = clock;
    this.#regainedAt = clock.now();
  }

  /** Calls a second, as of now. */
  get rate(): number {
    const now = this.#clock.now();
    const regained = (this.#most * REGAIN_PER_SECOND * (now - this.#regainedAt)) / 1000;
    this.#regainedAt = now;
    this.#rate = Math.min(this.#most, this.#rate + regained);
    return this.#rate;
  }

  /** Waits for this call's turn. @returns when it was, ms @throws the signal's reason when it aborts first */
  async take(signal: AbortSignal): Promise<number> {
    const now = this.#clock.now();
    const at = Math.max(this.#nextAt, now - BURST_MS);
    this.#nextAt = at + 1000 / this.rate;
    if (at > now) await this.#clock.sleep(at - now, signal);
    return this.#clock.now();
  }

  /** A call was refused that had its turn at `takenAt`. Calls that were under way at the last cut say nothing new. */
  refused(takenAt: number): void {
    if (takenAt < this.#cutAt) return;
    this.#rate = Math.max(this.#most * LEAST, this.rate * CUT);
    this.#cutAt = this.#clock.now();
  }
}

/** The quotas of one account and region: all its pools share them. */
export const quotasOf = (given: CognitoPlace["quotas"], clock: Clock): Readonly<Record<QuotaClass, Quota>> => {
  const quota = (name: QuotaClass): Quota => new Quota(given?.[name] ?? DEFAULT_QUOTAS[name], clock);
  return {
    UserCreation: quota("UserCreation"),
    UserUpdate: quota("UserUpdate"),
    UserRead: quota("UserRead"),
    UserList: quota("UserList"),
    UserResourceRead: quota("UserResourceRead"),
    UserAccountRecovery: quota("UserAccountRecovery"),
    UserPoolRead: quota("UserPoolRead"),
    UserPoolResourceRead: quota("UserPoolResourceRead"),
    UserPoolResourceUpdate: quota("UserPoolResourceUpdate"),
  };
};
