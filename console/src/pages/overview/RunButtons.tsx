import { lazy, Suspense, useState } from "react";
import type { Overview } from "../../data/operations.ts";
import { useMay } from "../../data/session.ts";
import { useAct } from "../../data/useAct.ts";
import { ProblemNote } from "../../parts/Shown.tsx";

const Confirm = lazy(async () => ({ default: (await import("../../parts/Confirm.tsx")).Confirm }));

const STEERABLE = ["running", "pausing", "paused"];

/** Pause and resume of ferry's own run or capture, for those who may. */
export const RunButtons = ({ capture }: Readonly<{ capture: Overview["capture"] }>) => {
  const may = useMay("operator");
  const [isAsking, setIsAsking] = useState(false);
  const [pause, resume] = [useAct("pauseRun"), useAct("resumeRun")];
  if (capture === null || !may || !STEERABLE.includes(capture.state)) return null;
  const problem = pause.problem ?? resume.problem;
  return (
    <div className="row middle">
      {capture.state === "running" ? (
        <button type="button" disabled={pause.isBusy} onClick={() => setIsAsking(true)}>
          Pause
        </button>
      ) : (
        <button type="button" className="main" disabled={resume.isBusy} onClick={() => void resume.run({})}>
          Resume
        </button>
      )}
      {problem !== undefined && <ProblemNote problem={problem} />}
      {isAsking && (
        <Suspense>
          <Confirm
            title="Pause the migration?"
            verb="Pause"
            onClose={() => setIsAsking(false)}
            onConfirm={() => {
              setIsAsking(false);
              void pause.run({});
            }}
          >
            <p>
              Nothing is read or written until it is resumed, also after a restart. The source keeps its history for a
              limited time: a pause that is longer loses changes.
            </p>
          </Confirm>
        </Suspense>
      )}
    </div>
  );
};
