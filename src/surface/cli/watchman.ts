import { type ChildProcess, spawn } from "node:child_process";
import { FerryError } from "#base/errors/ferryError.ts";
import type { Watchman } from "#cutover/machine/parts.ts";

/** The flag of a cutover's second process, with the number of the cutover; help does not show it. */
export const SECOND_OF = "--second-of";

/** What it says when both sides answer it. */
export const WATCHING = "watching";

/**
 * The same command as a second process of its own session, which nothing that ends this one ends: it lifts the fence where this
 * one does not. It ends when services no longer wait.
 */
export class SecondProcess implements Watchman {
  readonly #args: readonly string[];
  readonly #env: NodeJS.ProcessEnv;
  #ready: Promise<void> | undefined;

  /**
   * @param args of the command line, as this process was given
   * @param env beside that of this process; undefined takes one out
   */
  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.#args = args;
    this.#env = env;
  }

  ready(): Promise<void> {
    this.#ready ??= this.#start();
    return this.#ready;
  }

  #start(): Promise<void> {
    const [main = ""] = process.argv.slice(1);
    const child: ChildProcess = spawn(process.execPath, [...process.execArgv, main, ...this.#args], {
      detached: true,
      env: { ...process.env, ...this.#env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    return new Promise((resolve, reject) => {
      let said = "";
      child.stdout?.setEncoding("utf8").on("data", (text: string) => {
        said += text;
        if (!said.includes(WATCHING)) return;
        child.unref();
        child.stdout?.destroy();
        resolve();
      });
      child.once("error", ({ message }) => reject(new FerryError("FERRY_CUTOVER_WATCH", message)));
      child.once("exit", (status) => reject(new FerryError("FERRY_CUTOVER_WATCH", `it ended with status ${status}`)));
    });
  }
}
