import { count, wholeDuration } from "#base/flow/figures.ts";
import { cellsOf, fit, visible } from "#surface/terminal/cells.ts";
import type { Palette, TerminalEnv, Tone } from "#surface/terminal/palette.ts";
import type { Phase } from "./phase.ts";

/** What a bar is made of: done, its end, and what is left. */
export type Glyphs = Readonly<{ done: string; end: string; left: string }>;

export const LINES: Glyphs = { done: "━", end: "╸", left: "─" };
/** Where the locale's letters are others, or where lines may be two cells wide. */
export const LETTERS: Glyphs = { done: "#", end: ">", left: "." };

/** By the locale, as the C library reads it. */
export const glyphsFor = (env: TerminalEnv): Glyphs => {
  const locale = env["LC_ALL"] || env["LC_CTYPE"] || env["LANG"] || "";
  if (/^(zh|ja|ko)/i.test(locale)) return LETTERS;
  return locale === "" || /utf-?8/i.test(locale) ? LINES : LETTERS;
};

/** A part of a line. */
export type Span = readonly [text: string, tone: Tone];

/** How lines are to be made. */
export type Drawing = Readonly<{ columns: number; palette: Palette; glyphs: Glyphs }>;

/** One line that fits, whatever is in it. */
export const lineOf = (spans: readonly Span[], { columns, palette }: Pick<Drawing, "columns" | "palette">): string => {
  let [line, left] = ["", columns];
  for (const [text, tone] of spans) {
    const kept = fit(visible(text), left);
    line += palette(kept, tone);
    left -= cellsOf(kept);
  }
  return line;
};

/** `112 k`, `1.9 M`: for little room. */
export const short = (n: number): string => {
  const [value, unit] = n >= 1e9 ? [n / 1e9, " G"] : n >= 1e6 ? [n / 1e6, " M"] : [n / 1e3, " k"];
  if (n < 10_000) return count(n);
  return `${value < 9.95 ? value.toFixed(1) : Math.floor(value)}${unit}`;
};

/** `10 s left`; to the second, since it is a guess. */
export const leftText = (ms: number): string =>
  ms > 99 * 3_600_000 ? "days left" : `${wholeDuration(Math.max(1000, ms))} left`;

/** An estimate may be passed: it is never said that all is done before it is. */
const percentOf = ({ done, total, isOver }: Phase): number | undefined => {
  if (isOver) return 100;
  return total === undefined || total <= 0 ? undefined : Math.min(99, Math.floor((done / total) * 100));
};

/** What stands behind a bar, the most telling first; the first one for which there is room is taken. */
const details = (phase: Phase): readonly (readonly string[])[] => {
  const { done, total, noun, perSecond, etaMs, isOver, note } = phase;
  const of = (text: (n: number) => string): string =>
    total === undefined || isOver ? text(done) : `${text(done)} of ${text(total)}`;
  const rate = (text: (n: number) => string): readonly string[] =>
    perSecond === undefined ? [] : [`${text(perSecond)}/s`];
  const left = etaMs === undefined ? [] : [leftText(etaMs)];
  const more = note === undefined ? [] : [note];
  const [percent, full] = [percentOf(phase), (n: number): string => count(n)];
  const share = percent === undefined ? [] : [`${percent} %`.padStart(5)];
  return [
    [...share, `${of(full)} ${noun}`, ...rate(full), ...left, ...more],
    [...share, of(full), ...rate(full), ...left, ...more],
    [...share, of(full), ...rate(full), ...left],
    [...share, of(short), ...rate(short), ...left],
    [...share, ...(share.length === 0 ? [of(short)] : []), ...rate(short), ...left],
    [...share, ...left],
    share,
  ];
};

const GAP = "  ";
/** Names of phases stand below each other. */
export const NAME_CELLS = 9;
/** Bars of one width stand below each other, and do not jump as numbers grow. */
const barCells = (columns: number): number => {
  if (columns < 60) return 8;
  if (columns < 90) return 16;
  return columns < 120 ? 20 : 32;
};

const barSpans = (phase: Phase, cells: number, { done, end, left }: Glyphs): readonly Span[] => {
  const share = phase.isOver ? 1 : phase.total ? Math.min(1, phase.done / phase.total) : 0;
  const filled = phase.isOver ? cells : Math.min(cells - 1, Math.floor(share * cells));
  return [
    [done.repeat(filled), "good"],
    [phase.isOver ? "" : end, "good"],
    [left.repeat(Math.max(0, cells - filled - 1)), "quiet"],
  ];
};

/** One phase in one line: its name, a bar, how far, how fast, how long still. */
export const phaseLine = (phase: Phase, look: Drawing): string => {
  const { columns, glyphs } = look;
  const name = `${phase.name.padEnd(NAME_CELLS - 1)} `;
  const room = columns - cellsOf(name);
  const hasBar = phase.isOver || phase.total !== undefined;
  const cells = barCells(columns);
  const texts = details(phase).map((parts) => parts.join(GAP));
  const text = texts.find((one) => cellsOf(one) + (hasBar ? cells + GAP.length : 0) <= room) ?? texts.at(-1) ?? "";
  const bar: readonly Span[] =
    hasBar && cellsOf(text) + cells + GAP.length <= room
      ? [...barSpans(phase, cells, glyphs), [GAP, "plain"] as const]
      : [];
  return lineOf([[name, "strong"], ...bar, [text, "plain"]], look);
};
