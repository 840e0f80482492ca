import { createInterface } from "node:readline";
import { freeTerminal } from "./bottom.ts";

/** Asks at the terminal; undefined without one, as in a service or a pipe. Everything but `y` is a no, also Ctrl-C. */
export const terminalQuestion = (): ((question: string) => Promise<boolean>) | undefined => {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined;
  return (question) =>
    new Promise((resolve) => {
      const free = freeTerminal();
      const terminal = createInterface({ input: process.stdin, output: process.stderr });
      terminal.once("close", () => {
        free[Symbol.dispose]();
        resolve(false);
      });
      terminal.question(`${question} [y/N] `, (answer) => {
        resolve(/^y(es)?$/i.test(answer.trim()));
        terminal.close();
      });
    });
};
