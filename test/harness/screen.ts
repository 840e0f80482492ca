import xterm from "@xterm/headless";
import type { Tone } from "#surface/terminal/palette.ts";

/** A cell of the screen with its letters. */
export type Cell = Readonly<{ text: string; tone: Tone }>;

/** Of the terminal's colours, as the palette has them. */
const TONES: Readonly<Record<number, Tone>> = { 1: "bad", 2: "good", 3: "warn" };

/** A terminal as a person sees it, from the bytes that a process writes to it. */
export class Screen implements Disposable {
  readonly #terminal: xterm.Terminal;

  constructor(columns: number, rows = 24) {
    this.#terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true, scrollback: 1000 });
  }

  /** A line feed alone becomes a new line, as a terminal's driver makes it one. */
  async write(text: string): Promise<void> {
    await new Promise<void>((resolve) => this.#terminal.write(text.replace(/\r?\n/g, "\r\n"), resolve));
  }

  /** Everything with what has been scrolled away, without blanks at the ends. */
  get lines(): readonly string[] {
    const { active } = this.#terminal.buffer;
    const lines = Array.from({ length: active.length }, (_, y) => active.getLine(y)?.translateToString(true) ?? "");
    while (lines.at(-1) === "") lines.pop();
    return lines;
  }

  /** What is on the screen now, row by row, up to the last that is not empty. */
  cells(): readonly (readonly Cell[])[] {
    const { active } = this.#terminal.buffer;
    const rows = Array.from({ length: this.#terminal.rows }, (_, y) => {
      const line = active.getLine(active.baseY + y);
      return Array.from({ length: this.#terminal.cols }, (_, x): Cell => {
        const cell = line?.getCell(x);
        if (cell === undefined) return { text: " ", tone: "plain" };
        const other: Tone = cell.isBold() ? "strong" : cell.isDim() ? "quiet" : "plain";
        const tone = cell.isFgPalette() ? (TONES[cell.getFgColor()] ?? "plain") : other;
        return { text: cell.getWidth() === 0 ? "" : cell.getChars() || " ", tone };
      });
    });
    while (rows.at(-1)?.every(({ text }) => text.trim() === "")) rows.pop();
    return rows;
  }

  /** Rows that go on from the row before: a line was too wide. */
  get wrapped(): number {
    const { active } = this.#terminal.buffer;
    return Array.from({ length: active.length }, (_, y) => active.getLine(y)).filter((line) => line?.isWrapped).length;
  }

  get cursor(): Readonly<{ x: number; y: number }> {
    const { cursorX: x, cursorY, baseY } = this.#terminal.buffer.active;
    return { x, y: cursorY + baseY };
  }

  /** Is the other screen shown, which a full-screen view takes? */
  get isAlternate(): boolean {
    return this.#terminal.buffer.active.type === "alternate";
  }

  resize(columns: number, rows: number): void {
    this.#terminal.resize(columns, rows);
  }

  [Symbol.dispose](): void {
    this.#terminal.dispose();
  }
}
