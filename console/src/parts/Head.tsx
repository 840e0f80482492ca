import type { ReactNode } from "react";

/** A page's name, what it is about, and what can be done on it. */
export const Head = ({ title, about, children }: Readonly<{ title: string; about?: string; children?: ReactNode }>) => (
  <div className="page-head">
    <div>
      <h1>{title}</h1>
      {about !== undefined && <p>{about}</p>}
    </div>
    {children}
  </div>
);
