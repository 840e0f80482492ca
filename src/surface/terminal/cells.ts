/**
 * How wide a text is in cells of a terminal, counted rather too wide than too narrow: a line that is too wide wraps, and then a
 * view can no longer be drawn over itself.
 */

/** East Asian wide and fullwidth, and emoji: two cells (Unicode 16, EastAsianWidth W and F, with what lies between). */
const WIDE: readonly (readonly [first: number, last: number])[] = [
  [0x1100, 0x115f],
  [0x231a, 0x231b],
  [0x2329, 0x232a],
  [0x23e9, 0x23f3],
  [0x25fd, 0x25fe],
  [0x2614, 0x2615],
  [0x2648, 0x2653],
  [0x267f, 0x26ce],
  [0x26d4, 0x26fd],
  [0x2705, 0x2705],
  [0x270a, 0x270b],
  [0x2728, 0x2728],
  [0x274c, 0x2757],
  [0x2795, 0x2797],
  [0x27b0, 0x27bf],
  [0x2b1b, 0x2b1c],
  [0x2b50, 0x2b55],
  [0x2e80, 0x303e],
  [0x3041, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe10, 0xfe19],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x18aff],
  [0x1aff0, 0x1b2ff],
  [0x1d300, 0x1d37f],
  [0x1f000, 0x1faff],
  [0x20000, 0x3fffd],
];

const isWide = (code: number): boolean => code >= 0x1100 && WIDE.some(([first, last]) => code >= first && code <= last);

/** Marks that stand on the letter before them, of those blocks that every terminal knows; others are counted. */
const MARK = /^[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]/;
/** What Unicode shows a mark on that has no letter: terminals give it a cell of its own where it begins a line. */
const HOLDER = "\u25cc";

const ASCII = /^[\x20-\x7e]*$/;

const cellsOfPoint = (point: string): number => {
  if (isWide(point.codePointAt(0) ?? 0)) return 2;
  return MARK.test(point) ? 0 : 1;
};

/** @param text as `visible` makes it */
export const cellsOf = (text: string): number =>
  ASCII.test(text) ? text.length : [...text].reduce((sum, point) => sum + cellsOfPoint(point), 0);

/** What moves a cursor, colours, or turns the direction of writing: names come from servers, and are not to steer a terminal. */
const STEERING = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]/gu;

/** The text in one line, with a mark for each character that is no character to show. */
export const visible = (text: string): string =>
  text
    .replace(/\s*[\r\n\t]+\s*/g, " ")
    .replace(STEERING, "\ufffd")
    .replace(MARK, `${HOLDER}$&`);

const MORE = "…";

/** The text, or as much of its beginning as there is room for, with a mark that it goes on. */
export const fit = (text: string, cells: number): string => {
  if (cellsOf(text) <= cells) return text;
  if (cells <= 0) return "";
  let [kept, used] = ["", 0];
  for (const point of text) {
    const more = cellsOfPoint(point);
    if (used + more > cells - 1) break;
    kept += point;
    used += more;
  }
  return kept + MORE;
};

/** The text with blanks behind it, up to this many cells. */
export const padded = (text: string, cells: number): string => text + " ".repeat(Math.max(0, cells - cellsOf(text)));

const INDENT = 4;

const wrappedLine = (line: string, cells: number): string[] => {
  if (cellsOf(line) <= cells) return [line];
  const indent = " ".repeat((/^ */.exec(line)?.[0].length ?? 0) + INDENT);
  const [lines, words] = [[] as string[], line.split(/(?<=\S)(?= )/)];
  let current = "";
  for (const word of words) {
    const isFirst = current.trim() === "";
    if (!isFirst && cellsOf(current + word) > cells) {
      lines.push(current);
      current = indent + word.trimStart();
    } else current += word;
  }
  return [...lines, current];
};

/** Lines that are broken between words where they would be wider; what goes on is indented. A word that is wider stays whole. */
export const wrapped = (text: string, cells: number): string =>
  text
    .split("\n")
    .flatMap((line) => wrappedLine(line, cells))
    .join("\n");
