import { closeSync, constants, fstatSync, openSync, writeSync } from "node:fs";

/** How often a terminal that takes nothing is tried again, ms. */
const AGAIN_MS = 50;
/** What waits for one that is stopped (Ctrl-S) and would be more than this is left out, bytes. */
const MOST_BYTES = 1024 * 1024;
/** How long the end of the process waits for it, ms. */
const LAST_MS = 200;

const isBusy = (error: unknown): boolean => (error as { code?: unknown }).code === "EAGAIN";

/** Opened once more, since not to wait is a property of an opening, which other processes share with stderr. */
const openAgain = (fd: number): number | undefined => {
  for (const path of [`/proc/self/fd/${fd}`, "/dev/tty"])
    try {
      return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    } catch {
      // the next way
    }
  return undefined;
};

/**
 * Writes to a terminal, and never waits for it: one that was stopped, or is slow, must not hold up the work. What it does with it is
 * no concern of the work either: a terminal that is gone is written to no more.
 */
export class TerminalOut implements Disposable {
  readonly #fd: number | undefined;
  #waiting: Buffer = Buffer.alloc(0);
  #left = 0;
  #timer: NodeJS.Timeout | undefined;
  #isGone = false;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Undefined where it cannot be opened so. @param fd of a terminal */
  static open(fd: number): TerminalOut | undefined {
    const again = openAgain(fd);
    if (again === undefined) return undefined;
    if (fstatSync(again).isCharacterDevice()) return new TerminalOut(again);
    closeSync(again);
    return undefined;
  }

  /** Does something wait? Then nothing should be drawn. */
  get isBusy(): boolean {
    return this.#waiting.length > 0;
  }

  write(text: string): void {
    if (this.#isGone) return;
    if (this.#waiting.length > MOST_BYTES) {
      this.#left++;
      return;
    }
    this.#waiting = Buffer.concat([this.#waiting, Buffer.from(text)]);
    this.#flush();
  }

  /** Writes what waits, as far as the terminal takes it. */
  #flush(): void {
    try {
      while (this.#waiting.length > 0) {
        const written = writeSync(this.#fd ?? 2, this.#waiting);
        this.#waiting = this.#waiting.subarray(written);
      }
      if (this.#left > 0) {
        const text = `(${this.#left} lines were left out while the terminal was stopped)\n`;
        this.#left = 0;
        this.#waiting = Buffer.from(text);
        this.#flush();
      }
    } catch (error) {
      if (!isBusy(error)) this.#isGone = true;
      if (this.#isGone) this.#waiting = Buffer.alloc(0);
      else this.#later();
    }
  }

  #later(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#flush();
    }, AGAIN_MS).unref();
  }

  /** What waits is given a moment. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    for (const until = Date.now() + LAST_MS; this.isBusy && Date.now() < until; ) this.#flush();
    this.#isGone = true;
    if (this.#fd !== undefined) closeSync(this.#fd);
  }
}
