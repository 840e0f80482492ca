import { type CSSProperties, type ReactNode, useLayoutEffect, useRef, useState } from "react";
import { rowsSeen } from "../text/window.ts";

export type Column<T> = Readonly<{
  name: string;
  /** As CSS grids have it. */
  width: string;
  isNumber?: boolean;
  head?: ReactNode;
  cell: (row: T) => ReactNode;
}>;

const ROW_HEIGHT = 48;

/** A table of any length: only the rows that are seen are there. */
export const WindowedTable = <T,>({
  name,
  rows,
  columns,
  keyOf,
  isChosen,
  least = "44rem",
  total = rows.length,
  onEnd,
}: Readonly<{
  name: string;
  rows: readonly T[];
  columns: readonly Column<T>[];
  keyOf: (row: T) => string;
  isChosen?: (row: T) => boolean;
  /** Narrower than this it is scrolled sideways. */
  least?: string;
  total?: number;
  /** The last rows are seen. */
  onEnd?: () => void;
}>) => {
  const frame = useRef<HTMLDivElement>(null);
  const [place, setPlace] = useState({ scrolled: 0, height: 600 });
  const look = (): void => {
    const at = frame.current;
    if (at === null) return;
    setPlace({ scrolled: at.scrollTop, height: at.clientHeight });
    if (onEnd !== undefined && at.scrollTop + 3 * at.clientHeight > at.scrollHeight) onEnd();
  };
  useLayoutEffect(() => {
    const at = frame.current;
    if (at !== null) setPlace({ scrolled: at.scrollTop, height: at.clientHeight });
  }, []);
  const { from, to } = rowsSeen(rows.length, ROW_HEIGHT, place);
  const style = { "--columns": columns.map(({ width }) => width).join(" "), "--least": least } as CSSProperties;
  const fits = { maxHeight: `${rows.length * ROW_HEIGHT + 56}px` };
  const classOf = (column: Column<T>): string => (column.isNumber === true ? "number" : "");
  return (
    <div
      className="window"
      ref={frame}
      onScroll={look}
      role="table"
      aria-label={name}
      aria-rowcount={total + 1}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by the keyboard
      tabIndex={0}
      style={{ ...style, ...fits }}
    >
      <div role="rowgroup">
        <div role="row" aria-rowindex={1}>
          {columns.map((column) => (
            <span key={column.name} role="columnheader" className={classOf(column)}>
              {column.head ?? column.name}
            </span>
          ))}
        </div>
      </div>
      <div role="rowgroup" className="rows" style={{ height: `${rows.length * ROW_HEIGHT}px` }}>
        {rows.slice(from, to).map((row, n) => (
          <div
            role="row"
            key={keyOf(row)}
            aria-rowindex={from + n + 2}
            className={isChosen?.(row) === true ? "chosen" : ""}
            style={{ top: `${(from + n) * ROW_HEIGHT}px` }}
          >
            {columns.map((column) => (
              <span key={column.name} role="cell" className={classOf(column)}>
                {column.cell(row)}
              </span>
            ))}
          </div>
        ))}
      </div>
    </div>
  );
};
