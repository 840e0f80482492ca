import { useState } from "react";
import { useMay } from "../../data/session.ts";
import { useAct } from "../../data/useAct.ts";
import { Confirm } from "../../parts/Confirm.tsx";
import { ProblemNote } from "../../parts/Shown.tsx";

/** The end of a run without a switch by ferry: what is left is drained, and constraints that waited are restored. */
export const FinalizeCard = ({ migration, again }: Readonly<{ migration: string; again: () => void }>) => {
  const may = useMay("cutover");
  const { isBusy, problem, run } = useAct("finalizeRun");
  const [isAsking, setIsAsking] = useState(false);
  if (!may) return null;
  return (
    <section className="card" aria-labelledby="finalize">
      <h2 id="finalize">End the run without a switch</h2>
      <p className="quiet">
        Where services change over by other means: the last changes are applied, constraints that waited are restored,
        and the run ends.
      </p>
      {problem !== undefined && <ProblemNote problem={problem} />}
      <button type="button" className="danger" disabled={isBusy} onClick={() => setIsAsking(true)}>
        Finalize…
      </button>
      {isAsking && (
        <Confirm
          title="End the run?"
          verb="Finalize"
          typed={migration}
          isDanger
          onClose={() => setIsAsking(false)}
          onConfirm={() => {
            setIsAsking(false);
            void run({ body: { confirm: migration } }).then(again);
          }}
        >
          <p>Later changes of the source are not carried any more. That cannot be taken back.</p>
        </Confirm>
      )}
    </section>
  );
};
