type Waiter = Readonly<{ bytes: number; grant: () => void }>;

/**
 * The only backpressure: how many bytes may be read and not yet settled. A piece larger than the whole budget passes
 * when it is alone, so a 16 MB document never blocks. First come, first served.
 */
export class ByteBudget {
  readonly limit: number;
  #used = 0;
  readonly #waiting: Waiter[] = [];

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Bytes read and not yet settled. */
  get used(): number {
    return this.#used;
  }

  /** Waits for room. @throws the signal's reason when it aborts first. */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#waiting.length === 0 && this.#fits(bytes)) {
      this.#used += bytes;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        bytes,
        grant: () => {
          signal.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(signal.reason);
        this.#serve();
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiting.push(waiter);
    });
  }

  give(bytes: number): void {
    this.#used -= bytes;
    this.#serve();
  }

  #fits(bytes: number): boolean {
    return this.#used === 0 || this.#used + bytes <= this.limit;
  }

  #serve(): void {
    for (let first = this.#waiting[0]; first !== undefined && this.#fits(first.bytes); first = this.#waiting[0]) {
      this.#waiting.shift();
      this.#used += first.bytes;
      first.grant();
    }
  }
}

/**
 * One owner's part of a budget. What it took and has not released returns when it ends, however it ends: a partition
 * that was taken over leaves batches behind, and the others must not wait for their bytes for ever.
 */
export class BudgetShare implements Disposable {
  readonly #budget: ByteBudget;
  #used = 0;
  #closed = false;

  constructor(budget: ByteBudget) {
    this.#budget = budget;
  }

  /** Waits for room. @throws the signal's reason when it aborts first. */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    await this.#budget.take(bytes, signal);
    if (this.#closed) this.#budget.give(bytes);
    else this.#used += bytes;
  }

  give(bytes: number): void {
    if (this.#closed) return;
    this.#used -= bytes;
    this.#budget.give(bytes);
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#budget.give(this.#used);
  }
}
