/** Which rows of a long list stand in the part that is seen, with some before and after it. */
export type Rows = Readonly<{ from: number; to: number }>;

const BESIDE = 8;

/** All lengths in pixels. */
export const rowsSeen = (
  total: number,
  rowHeight: number,
  { scrolled, height }: Readonly<{ scrolled: number; height: number }>,
): Rows => {
  const first = Math.floor(scrolled / rowHeight);
  return {
    from: Math.max(0, Math.min(first - BESIDE, total)),
    to: Math.min(total, first + Math.ceil(height / rowHeight) + BESIDE),
  };
};
