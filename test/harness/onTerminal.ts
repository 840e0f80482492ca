import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";

/** As asciicast v2 has them: `o` is what was shown, `i` what was typed; and one of ours, `x`, the exit status. */
export type TerminalEvent = readonly [seconds: number, kind: "o" | "i" | "x", value: string | number];

/** Is there a Python, which opens terminals? */
export const canOpenTerminals = (): boolean => spawnSync("python3", ["-c", "import pty"]).status === 0;

/** A command on a terminal of its own, as a person has it. Disposal ends it. */
export class OnTerminal implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly events: TerminalEvent[] = [];

  constructor(
    [columns, rows]: readonly [columns: number, rows: number],
    command: readonly string[],
    env: Readonly<Record<string, string>>,
  ) {
    const args = ["test/harness/terminal.py", String(columns), String(rows), ...command];
    this.#child = spawn("python3", args, { env, stdio: ["pipe", "pipe", "inherit"] });
    this.#ended = once(this.#child, "close");
    if (this.#child.stdout !== null)
      createInterface(this.#child.stdout).on("line", (line) => this.events.push(JSON.parse(line) as TerminalEvent));
  }

  /** Everything that was shown so far. */
  get text(): string {
    return this.events.map(([, kind, value]) => (kind === "o" ? value : "")).join("");
  }

  /** Undefined while it runs; negative: by which signal it ended. */
  get status(): number | undefined {
    const [, , status] = this.events.find(([, kind]) => kind === "x") ?? [];
    return status as number | undefined;
  }

  #tell(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  signal(name: NodeJS.Signals): void {
    this.#tell(`signal ${name}`);
  }

  /** Resolves when the terminal has taken the keys. */
  async type(keys: string): Promise<void> {
    const isTyped = ([, kind]: TerminalEvent): boolean => kind === "i";
    const before = this.events.filter(isTyped).length;
    this.#tell(`key ${keys}`);
    const look = async () => (this.events.filter(isTyped).length > before ? { done: undefined } : { seen: keys });
    await waitFor(look, { what: "keys to be typed", clock: systemClock, timeoutMs: 20_000, everyMs: 20 });
  }

  /** @throws FERRY_TIMEOUT with what is shown */
  async shows(pattern: RegExp, timeoutMs = 60_000): Promise<void> {
    const look = async () => (pattern.test(this.text) ? { done: true } : { seen: this.text.slice(-1500) });
    await waitFor(look, { what: `${pattern} on the terminal`, clock: systemClock, timeoutMs, everyMs: 50 });
  }

  /** Its exit status. @throws FERRY_TIMEOUT */
  ends(timeoutMs = 60_000): Promise<number> {
    const look = async () => (this.status === undefined ? { seen: this.text.slice(-1500) } : { done: this.status });
    return waitFor(look, { what: "its end", clock: systemClock, timeoutMs, everyMs: 50 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.status === undefined) this.signal("SIGKILL");
    this.#child.stdin?.end();
    await this.#ended;
  }
}
