import { cellsOf, padded, visible } from "#surface/terminal/cells.ts";
import type { Tone } from "#surface/terminal/palette.ts";
import { type Drawing, lineOf, NAME_CELLS, phaseLine, type Span } from "./bar.ts";
import type { Phase } from "./phase.ts";

/** One thing that is known, in few words. */
export type Fact = Readonly<{ text: string; tone: Tone }>;

/** Rows in columns below a title, the first row the columns' names. */
export type Columns = Readonly<{ title: string; rows: readonly (readonly string[])[] }>;

/** What a person sees of a migration while it works: by a live view below the log, and by `ferry status --watch`. */
export type Picture = Readonly<{
  /** What is looked at: `ferry run`. */
  title: string;
  /** Beside the title, the most telling first: what there is no room for is left out. */
  facts: readonly Fact[];
  phases: readonly Phase[];
  /** Rows of a name and its facts, below the phases. */
  parts: readonly Readonly<{ name: string; facts: readonly Fact[] }>[];
  /** What needs a person, the gravest first. */
  needs: readonly string[];
  columns: readonly Columns[];
}>;

const BETWEEN = " · ";

/** The facts that there is room for, at least the first one. */
const factSpans = (facts: readonly Fact[], room: number): readonly Span[] => {
  const spans: Span[] = [];
  let left = room;
  for (const { text, tone } of facts) {
    const between = spans.length === 0 ? "" : BETWEEN;
    const cells = cellsOf(visible(text)) + between.length;
    if (cells > left && spans.length > 0) continue;
    left -= cells;
    spans.push([between, "quiet"], [text, tone]);
  }
  return spans;
};

const rowOf = (name: string, tone: Tone, facts: readonly Fact[], look: Drawing): string => {
  const head = padded(visible(name), NAME_CELLS - 1);
  const spans = factSpans(facts, look.columns - cellsOf(head) - 1);
  return lineOf([[`${head} `, tone], ...spans], look);
};

/** Columns as wide as their widest cell; numbers stand on the right. What there is no room for is cut off. */
const columnLines = ({ title, rows }: Columns, look: Drawing): readonly string[] => {
  const cells = rows.map((row) => row.map(visible));
  const most = Math.max(0, ...cells.map((row) => row.length));
  const widths = Array.from({ length: most }, (_, i) => Math.max(...cells.map((row) => cellsOf(row[i] ?? ""))));
  const isNumber = widths.map((_, i) => cells.slice(1).every((row) => /^[-\d]/.test(row[i] ?? "")));
  const lines = cells.map((row, y) => {
    const text = row.map((cell, i) => {
      const width = widths[i] ?? 0;
      return isNumber[i] === true ? " ".repeat(width - cellsOf(cell)) + cell : padded(cell, width);
    });
    return lineOf([[text.join("  ").trimEnd(), y === 0 ? "quiet" : "plain"]], look);
  });
  return ["", lineOf([[title, "strong"]], look), ...lines];
};

/** A picture as lines, none of which is wider than the look's columns. */
export const pictureLines = (
  { title, facts, phases, parts, needs, columns }: Picture,
  look: Drawing,
): readonly string[] => {
  const room = look.columns - cellsOf(title) - 2;
  return [
    lineOf([[title, "strong"], ["  ", "plain"], ...(room < 8 ? [] : factSpans(facts, room))], look),
    ...phases.map((phase) => phaseLine(phase, look)),
    ...parts.map(({ name, facts: known }) => rowOf(name, "strong", known, look)),
    ...needs.map((text) => rowOf("needs", "bad", [{ text, tone: "warn" }], look)),
    ...columns.flatMap((one) => (one.rows.length < 2 ? [] : columnLines(one, look))),
  ];
};

/** The same in one line, for a terminal that can only be written on. */
export const pictureLine = ({ title, facts, phases, needs }: Picture): string => {
  const wide: Drawing = { columns: 10_000, palette: (text) => text, glyphs: { done: "", end: "", left: "" } };
  const running = phases.filter(({ isOver }) => !isOver).map((phase) => phaseLine(phase, wide).replace(/\s+/g, " "));
  return [title, ...facts.map(({ text }) => text), ...running, ...needs].map((text) => visible(text).trim()).join("; ");
};
