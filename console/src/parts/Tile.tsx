import type { ReactNode } from "react";

/** One number with its name; a link where a page says more about it. */
export const Tile = ({
  name,
  value,
  more,
  kind = "",
  to,
  children,
}: Readonly<{
  name: string;
  value: ReactNode;
  more?: ReactNode;
  kind?: "" | "bad" | "warn";
  to?: string;
  children?: ReactNode;
}>) => {
  const inner = (
    <>
      <span className="name">{name}</span>
      <span className="value">{value}</span>
      {children}
      {more !== undefined && more !== "" && <span className="more">{more}</span>}
    </>
  );
  return to === undefined ? (
    <div className={`tile ${kind}`}>{inner}</div>
  ) : (
    <a className={`tile ${kind}`} href={`#/${to}`}>
      {inner}
    </a>
  );
};
