import { cellsOf } from "#surface/terminal/cells.ts";

const ESC = "\u001b[";
const COLOURS = new RegExp(`${RegExp.escape(ESC)}[\\d;]*m`, "g");

/** What moves the cursor up, to the left edge. */
const up = (rows: number): string => (rows > 0 ? `\r${ESC}${rows}A` : "\r");
const CLEAR_TO_END = `${ESC}J`;
const CLEAR_LINE = `${ESC}K`;

/** Lines as they were drawn; the cursor stands in the first column below them. */
export type Drawn = readonly string[];

/** The rows that drawn lines take on a terminal of this width, which may have become narrower since. */
export const rowsOf = (drawn: Drawn, columns: number): number =>
  drawn.reduce((sum, line) => sum + Math.max(1, Math.ceil(cellsOf(line.replace(COLOURS, "")) / columns)), 0);

/** Draws lines in the place of those before. It does not hide the cursor: a process that is killed leaves nothing to restore. */
export const redraw = (drawn: Drawn, lines: Drawn, columns: number): string => {
  // Cleared first: behind a line that reaches the edge that would take its last letter.
  const fresh = lines.map((line) => `${CLEAR_LINE}${line}\n`).join("");
  const rows = rowsOf(drawn, columns);
  return `${up(rows)}${fresh}${lines.length < rows ? CLEAR_TO_END : ""}`;
};

/** Removes them, writes whole lines in their place, and draws them again below. */
export const insertAbove = (drawn: Drawn, text: string, columns: number): string =>
  `${up(rowsOf(drawn, columns))}${CLEAR_TO_END}${text}${drawn.map((line) => `${line}\n`).join("")}`;

/** Removes them. */
export const erase = (drawn: Drawn, columns: number): string =>
  drawn.length === 0 ? "" : `${up(rowsOf(drawn, columns))}${CLEAR_TO_END}`;
