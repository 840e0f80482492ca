import type { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { failureFields } from "./failure.ts";
import type { LogFields, Logger } from "./log.ts";

/** What is back sooner was hardly away, ms. */
const SAY_MS = 1000;
/** How often it is logged again while it lasts, ms. */
const AGAIN_MS = 30_000;

/** Says that something is waited for, and when it is back. */
export class Awaited {
  readonly #who: string;
  readonly #clock: Pick<Clock, "now">;
  readonly #logger: Logger;
  #since: number | undefined;
  #saidAt: number | undefined;

  /** @param who as in a sentence: `the target` */
  constructor(who: string, { clock, logger }: Readonly<{ clock: Pick<Clock, "now">; logger: Logger }>) {
    this.#who = who;
    this.#clock = clock;
    this.#logger = logger;
    this.#since = clock.now();
  }

  /** It did not answer, once more; what an operator has to do is said at once. @param why without credentials */
  missing(why: string | FerryError): void {
    const now = this.#clock.now();
    this.#since ??= now;
    const fields: LogFields = typeof why === "string" ? { err: why } : failureFields(why);
    const patience = fields.hint !== undefined ? 0 : SAY_MS;
    if (now - this.#since < patience || now - (this.#saidAt ?? Number.NEGATIVE_INFINITY) < AGAIN_MS) return;
    this.#saidAt = now;
    this.#logger.warn({ stage: "waiting", ...fields }, `waiting for ${this.#who}`);
  }

  /** It answers. */
  back(): void {
    if (this.#saidAt !== undefined && this.#since !== undefined) {
      const ms = this.#clock.now() - this.#since;
      this.#logger.info({ stage: "waiting", ms }, `${this.#who} is back after ${Math.round(ms / 1000)} s`);
    }
    this.#since = undefined;
    this.#saidAt = undefined;
  }
}
