import type { CSSProperties } from "react";
import { percent } from "../text/format.ts";

/** What CSS calls `--share`. */
export const shareStyle = (share: number): CSSProperties => ({ "--share": share }) as CSSProperties;

export const Bar = ({
  share,
  name,
  kind = "",
}: Readonly<{ share: number; name: string; kind?: "" | "good" | "bad" }>) => (
  <div
    className={`bar ${kind}`}
    role="progressbar"
    aria-label={name}
    aria-valuenow={Math.floor(share * 100)}
    aria-valuetext={percent(share)}
    aria-valuemin={0}
    aria-valuemax={100}
  >
    <span style={shareStyle(share)} />
  </div>
);
