import { useAsked } from "../../data/useAsked.ts";
import { Note, WithCode } from "../../parts/Note.tsx";
import { Shown } from "../../parts/Shown.tsx";
import { duration, sentence } from "../../text/format.ts";
import { SIDES, type Side } from "./Side.ts";

/** What is missing, each with what to do about it. */
export const Checks = ({ side }: Readonly<{ side: Side }>) => {
  const looked = useAsked(SIDES[side].asks.ready, {}, 5000);
  return (
    <section className="card" aria-labelledby={`ready-${side}`}>
      <h2 id={`ready-${side}`}>{side === "cutover" ? "Is everything ready?" : "Is the way back ready?"}</h2>
      <Shown looked={looked} what="the readiness">
        {({ ready, missing, expectedPauseMs, noWayBack }) => (
          <>
            <ul className="checks">
              {ready && (
                <li>
                  <span className="sign good" aria-hidden="true">
                    ✓
                  </span>
                  <p>Nothing is missing.</p>
                </li>
              )}
              {missing.map(({ code, detail, hint }) => (
                <li key={code + detail}>
                  <span className="sign bad" aria-hidden="true">
                    ✗
                  </span>
                  <div>
                    <p>
                      <span className="hidden">Missing: </span>
                      <WithCode text={sentence(detail)} /> <code>{code}</code>
                    </p>
                    <p className="quiet">
                      <WithCode text={hint} />
                    </p>
                  </div>
                </li>
              ))}
            </ul>
            {noWayBack.length > 0 && (
              <Note
                kind="warn"
                text={`There is no way back for ${noWayBack.join("; ")}`}
                more="A cutover of it is for good."
              />
            )}
            {expectedPauseMs !== null && (
              <p>
                By the last rehearsal, services would wait <strong>{duration(expectedPauseMs)}</strong>.
              </p>
            )}
          </>
        )}
      </Shown>
    </section>
  );
};
