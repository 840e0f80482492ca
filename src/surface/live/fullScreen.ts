import { stay } from "#surface/terminal/bottom.ts";
import { paletteFor } from "#surface/terminal/palette.ts";
import { isInBackground } from "#surface/terminal/terminalKind.ts";
import { type Drawing, glyphsFor } from "./bar.ts";
import { TerminalOut } from "./terminalOut.ts";

const ESC = "\u001b[";

/** The terminal's other screen, without a cursor; and back to what was there before. */
export const ENTER = `${ESC}?1049h${ESC}?25l`;
export const LEAVE = `${ESC}?25h${ESC}?1049l`;

/** The whole screen, drawn from its first row. */
export const screenful = (lines: readonly string[], rows: number): string => {
  const shown = lines.slice(0, rows).map((line) => `${ESC}K${line}`);
  return `${ESC}H${shown.join("\r\n")}${shown.length < rows ? `\r\n${ESC}J` : ""}`;
};

/** How often it is drawn, ms. */
const PAINT_MS = 250;

/** Of a terminal whose keys are not read by the kernel. */
const ENDS = ["q", "Q", "\u0003", "\u001b"];

/** Reads keys until it is disposed of; Ctrl-C is the signal that it would be. */
const keys = (quit: () => void): Disposable => {
  const { stdin } = process;
  if (!stdin.isTTY) return { [Symbol.dispose]: () => undefined };
  const onKey = (key: string): void => {
    if (key === "\u0003") process.kill(process.pid, "SIGINT");
    else if (ENDS.includes(key)) quit();
  };
  stdin.setRawMode(true).setEncoding("utf8").on("data", onKey).resume();
  return {
    [Symbol.dispose]: () => {
      stdin.off("data", onKey).pause().setRawMode(false);
    },
  };
};

/** A view that has the terminal to itself. Its lines are gone with it: what was on the terminal before is there again. */
export type FullScreen = Disposable & Readonly<{ quit: AbortSignal }>;

/**
 * Shows lines on the whole terminal, until it is disposed of, or the process exits. Undefined where the terminal cannot be had so.
 * @param lines of the terminal's width and height
 */
export const openFullScreen = (lines: (look: Drawing, rows: number) => readonly string[]): FullScreen | undefined => {
  const out = TerminalOut.open(1);
  if (out === undefined) return undefined;
  const [palette, glyphs] = [paletteFor(process.env, true), glyphsFor(process.env)];
  const quit = new AbortController();
  const late: string[] = [];
  const paint = (): void => {
    if (out.isBusy || isInBackground()) return;
    const { columns, rows } = process.stdout;
    out.write(screenful(lines({ columns, palette, glyphs }, rows), rows));
  };
  const enter = (): void => out.write(ENTER);
  const stack = new DisposableStack();
  const end = (): void => stack.dispose();
  stack.defer(() => {
    process.off("exit", end);
    process.off("SIGCONT", enter);
    for (const text of late) process.stderr.write(text);
  });
  process.once("exit", end);
  process.on("SIGCONT", enter);
  stack.use(out);
  stack.defer(() => out.write(LEAVE));
  stack.use(stay({ above: (text) => void late.push(text), leave: () => ({ [Symbol.dispose]: () => undefined }) }));
  stack.use(keys(() => quit.abort()));
  enter();
  const timer = setInterval(paint, PAINT_MS).unref();
  stack.defer(() => clearInterval(timer));
  return { quit: quit.signal, [Symbol.dispose]: end };
};
