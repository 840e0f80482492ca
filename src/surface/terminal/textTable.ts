/** Columns as wide as their widest cell; the last one is not padded. */
export const table = (rows: readonly (readonly string[])[], gap = "  "): string => {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows
    .map((row) => row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0))).join(gap))
    .join("\n");
};
