import type { CSSProperties } from "react";
import { duration } from "../../text/format.ts";

/** One hue for each step, told apart also without colours by the list below. */
const HUES = ["#3b82c4", "#2f9e68", "#c98a1b", "#a05bb5", "#c2574b", "#5b7083"] as const;

const styleOf = (share: number, n: number): CSSProperties =>
  ({ "--share": share, "--hue": HUES[n % HUES.length] }) as CSSProperties;

/** The parts of a pause beside each other, each as wide as it was long. */
export const Laps = ({ parts, name }: Readonly<{ parts: Readonly<Record<string, number>>; name: string }>) => {
  const laps = Object.entries(parts);
  return (
    <>
      <div className="laps" aria-hidden="true">
        {laps.map(([step, ms], n) => (
          <span key={step} style={styleOf(Math.max(ms, 0.1), n)} />
        ))}
      </div>
      <ul className="laps-key number" aria-label={name}>
        {laps.map(([step, ms], n) => (
          <li key={step} style={styleOf(1, n)}>
            {step} {duration(ms)}
          </li>
        ))}
      </ul>
    </>
  );
};
