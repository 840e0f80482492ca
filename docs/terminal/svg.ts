import type { Cell } from "../../test/harness/screen.ts";

/** One cell of the drawing, and what is around it, in pixels. */
const CELL = { width: 8.4, height: 18 } as const;
const [PAD, TOP] = [16, 40];

/** Colours of a dark terminal, as each reader of README sees it. */
const COLOURS: Readonly<Record<Cell["tone"], string>> = {
  plain: "#d8dee6",
  strong: "#ffffff",
  quiet: "#8b949e",
  good: "#4ac26b",
  warn: "#e3b341",
  bad: "#ff7b72",
};

const escaped = (text: string): string => text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);

/** Cells of one tone that stand beside each other. */
const runsOf = (row: readonly Cell[]): readonly Readonly<{ at: number; text: string; tone: Cell["tone"] }>[] => {
  const runs: { at: number; text: string; tone: Cell["tone"] }[] = [];
  for (const [x, { text, tone }] of row.entries()) {
    const last = runs.at(-1);
    if (last !== undefined && last.tone === tone) last.text += text;
    else runs.push({ at: x, text, tone });
  }
  return runs.filter(({ text }) => text.trim() !== "");
};

/** A screen as a picture, with a text for those who cannot see it. */
export const svgOf = (rows: readonly (readonly Cell[])[], title: string): string => {
  const columns = Math.max(...rows.map((row) => row.length));
  const [width, height] = [Math.ceil(columns * CELL.width) + 2 * PAD, rows.length * CELL.height + TOP + PAD];
  const lines = rows.flatMap((row, y) =>
    runsOf(row).map(({ at, text: whole, tone }) => {
      const text = whole.trimEnd();
      const [x, length] = [PAD + at * CELL.width, text.length * CELL.width];
      const weight = tone === "strong" ? ' font-weight="bold"' : "";
      const place = `x="${x.toFixed(1)}" y="${TOP + y * CELL.height + 13}" textLength="${length.toFixed(1)}"`;
      return `  <text ${place} fill="${COLOURS[tone]}"${weight}>${escaped(text)}</text>`;
    }),
  );
  const dots = ["#ff5f57", "#febc2e", "#28c840"].map(
    (colour, i) => `  <circle cx="${PAD + 6 + i * 20}" cy="18" r="6" fill="${colour}"/>`,
  );
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `  <title>${escaped(title)}</title>`,
    `  <rect width="${width}" height="${height}" rx="8" fill="#0d1117"/>`,
    ...dots,
    '  <g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="14" xml:space="preserve">',
    ...lines,
    "  </g>",
    "</svg>",
  ].join("\n")}\n`;
};
