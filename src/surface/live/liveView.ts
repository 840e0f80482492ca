import { stay, writeLines } from "#surface/terminal/bottom.ts";
import { paletteFor } from "#surface/terminal/palette.ts";
import { isInBackground, terminalKind } from "#surface/terminal/terminalKind.ts";
import { glyphsFor } from "./bar.ts";
import { Painter } from "./painter.ts";
import { type Picture, pictureLine, pictureLines } from "./picture.ts";
import { TerminalOut } from "./terminalOut.ts";

/** How often it is drawn, ms; and a line is written where nothing can be drawn. */
const PAINT_MS = 250;
const LINE_MS = 10_000;

/** What is to be seen, now. @param at ms */
export type Viewed = (at: number) => Picture;

/** Calls it again and again, until it is disposed of. What fails here fails nothing else, but ends it. */
const repeatedly = (ms: number, act: () => void): Disposable => {
  const timer = setInterval(() => {
    try {
      act();
    } catch {
      clearInterval(timer);
    }
  }, ms).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
};

const drawn = (out: TerminalOut, view: Viewed, leaves: boolean): Disposable => {
  const [palette, glyphs] = [paletteFor(process.env, true), glyphsFor(process.env)];
  const canvas = {
    isBusy: () => out.isBusy,
    write: (text: string) => out.write(text),
    size: () => ({ columns: process.stderr.columns, rows: process.stderr.rows }),
    isAway: isInBackground,
  };
  const painter = new Painter(canvas, (columns) => pictureLines(view(Date.now()), { columns, palette, glyphs }));
  const stack = new DisposableStack();
  const back = (): void => painter.lose();
  process.on("SIGCONT", back);
  const end = (): void => stack.dispose();
  process.once("exit", end);
  stack.defer(() => {
    process.off("SIGCONT", back);
    process.off("exit", end);
  });
  stack.use(out);
  stack.defer(() => (leaves ? painter.paint() : painter.erase()));
  stack.use(stay(painter));
  stack.use(repeatedly(PAINT_MS, () => painter.paint()));
  return stack;
};

/** A view of a command that shows nothing here, because its output is for a program. */
export const NO_VIEW: Disposable = { [Symbol.dispose]: () => undefined };

/**
 * Shows work while it goes on, below what is logged meanwhile: drawn in place on a terminal that can, as a line now and then on one that
 * cannot, not at all elsewhere. It never holds the work up. Dispose of it when the work is over.
 * @param leaves does the last picture stay?
 */
export const openLiveView = (view: Viewed, { leaves }: Readonly<{ leaves: boolean }>): Disposable => {
  const kind = terminalKind(process.env, process);
  const out = kind === "drawn" ? TerminalOut.open(2) : undefined;
  if (out !== undefined) return drawn(out, view, leaves);
  if (kind === "none") return NO_VIEW;
  return repeatedly(LINE_MS, () => writeLines(process.stderr, `${pictureLine(view(Date.now()))}\n`));
};
