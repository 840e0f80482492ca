import { type ChildProcess, spawn } from "node:child_process";
import { stripVTControlCharacters } from "node:util";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";

/** How long anything that is typed may take to answer, ms. */
const PATIENCE_MS = 120_000;
/** What the error shows of the screen. */
const TAIL = 1500;

// biome-ignore lint/suspicious/noControlCharactersInRegex: an escape sequence begins with one
const UNFINISHED = /\x1b[^A-Za-z]{0,20}$/;

export const CTRL_C = "\x03";
export const ESCAPE = "\x1b";

/**
 * A person at a terminal: types, and reads what appears. `script` gives the command a pseudo-terminal, so that `docker exec -it`,
 * mongosh's prompt and vim are what they are for a person.
 */
export class Terminal implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #output = "";
  /** Where reading continues in the text: each `see` looks at what came after the last one's match. */
  #read = 0;

  constructor(command: string) {
    // Without a size of its own the terminal would have no columns for vim and readline.
    const args = ["-q", "-f", "-c", `stty rows 50 cols 200; exec ${command}`, "/dev/null"];
    this.#child = spawn("script", args, { stdio: ["pipe", "pipe", "inherit"], env: { ...process.env, TERM: "xterm" } });
    this.#exited = new Promise((resolve) => this.#child.once("close", resolve));
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
    });
  }

  /** What a person reads of it: no escape sequences, none by half at the end. */
  #text(): string {
    return stripVTControlCharacters(this.#output.replace(UNFINISHED, "")).replaceAll("\r", "");
  }

  /** Sends keys as they are. */
  press(keys: string): void {
    this.#child.stdin?.write(keys);
  }

  /** Types a line, or several, each with Enter. */
  type(lines: string): void {
    this.press(`${lines.replaceAll("\n", "\r")}\r`);
  }

  /** Waits until it appears. @returns what came up to it. @throws with the end of the screen. */
  async see(what: RegExp, timeoutMs = PATIENCE_MS): Promise<string> {
    const seen = await waitFor(
      async () => {
        const text = this.#text().slice(this.#read);
        const match = what.exec(text);
        if (match !== null) return { done: text.slice(0, match.index + match[0].length) };
        if (this.#child.exitCode !== null) throw new Error(`the terminal ended, and did not show ${what}:\n${text}`);
        return { seen: `\n${text.slice(-TAIL)}` };
      },
      { what: `the terminal to show ${what}`, clock: systemClock, timeoutMs, everyMs: 50 },
    );
    this.#read += seen.length;
    return seen;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL"); // the shell itself ends with its container
    await this.#exited;
  }
}
