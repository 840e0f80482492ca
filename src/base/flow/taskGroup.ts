/**
 * Background work with an owner: the first failure aborts `signal` for all, disposal waits for all, and `settled()`
 * rethrows that first failure itself. Nothing in ferry floats outside a group.
 */
export class TaskGroup implements AsyncDisposable {
  readonly #abort = new AbortController();
  readonly #running = new Set<Promise<void>>();
  #failure: { error: unknown } | undefined;
  readonly signal: AbortSignal;

  constructor(parent?: AbortSignal) {
    this.signal = parent === undefined ? this.#abort.signal : AbortSignal.any([parent, this.#abort.signal]);
  }

  /** Starts a task now; its failure becomes the group's. */
  run(task: () => Promise<void>): void {
    const promise = task()
      .catch((error: unknown) => {
        this.#failure ??= { error };
        this.#abort.abort(error);
      })
      .finally(() => this.#running.delete(promise));
    this.#running.add(promise);
  }

  /** Waits until nothing runs. @throws the first failure. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}
