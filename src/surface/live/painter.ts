import type { Bottom } from "#surface/terminal/bottom.ts";
import { type Drawn, erase, insertAbove, redraw } from "./frame.ts";

/** Where is drawn, and how large it is. */
export type Canvas = Readonly<{
  isBusy(): boolean;
  write(text: string): void;
  size(): Readonly<{ columns: number; rows: number }>;
  /** Has the terminal's user put the process into the background? Then the terminal is another's. */
  isAway(): boolean;
}>;

/** Draws lines at the bottom of a terminal, over and over in the same place, with other output above them. */
export class Painter implements Bottom {
  readonly #canvas: Canvas;
  readonly #lines: (columns: number) => readonly string[];
  #drawn: Drawn = [];
  #columns = 0;
  #isLeft = false;

  /** @param lines none of them wider than `columns` */
  constructor(canvas: Canvas, lines: (columns: number) => readonly string[]) {
    this.#canvas = canvas;
    this.#lines = lines;
  }

  /** Draws what is to be seen now, unless the terminal is busy. */
  paint(): void {
    if (this.#isLeft || this.#canvas.isBusy()) return;
    if (this.#canvas.isAway()) {
      this.#drawn = [];
      return;
    }
    const { columns, rows } = this.#canvas.size();
    const lines = this.#lines(columns).slice(0, Math.max(1, rows - 2)); // what has left the screen cannot be drawn over
    if (columns === this.#columns && lines.join("\n") === this.#drawn.join("\n")) return;
    this.#columns = columns;
    this.#canvas.write(redraw(this.#drawn, lines, columns));
    this.#drawn = lines;
  }

  above(text: string): void {
    this.#canvas.write(insertAbove(this.#drawn, text, this.#canvas.size().columns));
  }

  /** What was drawn is no longer where it was: the process was stopped, and other output came. */
  lose(): void {
    this.#drawn = [];
  }

  leave(): Disposable {
    this.erase();
    this.#isLeft = true;
    return {
      [Symbol.dispose]: () => {
        this.#isLeft = false;
      },
    };
  }

  erase(): void {
    this.#canvas.write(erase(this.#drawn, this.#canvas.size().columns));
    this.#drawn = [];
  }
}
