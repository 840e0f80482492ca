import { useState } from "react";
import { useMay } from "../../data/session.ts";
import { useAct } from "../../data/useAct.ts";
import { Confirm } from "../../parts/Confirm.tsx";
import { Note, WithCode } from "../../parts/Note.tsx";
import { ProblemNote } from "../../parts/Shown.tsx";
import { isUnderway, SIDES, type Side, type Switch } from "./Side.ts";

type Job = NonNullable<Switch["job"]>;

const JobNote = ({ job }: Readonly<{ job: Job }>) => {
  const what = `\`${job.act}\` of ${job.on}, asked for by ${job.by}`;
  if (job.endedAt === null) return <Note kind="plain" text={`${what}: under way`} />;
  if (job.refused === null) return <Note kind="good" text={`${what}: done`} />;
  return <Note kind="bad" text={`${what}: ${job.refused.detail}`} more={`${job.refused.code}: ${job.refused.hint}`} />;
};

/** Rehearse, switch, and stop: for tokens with role cutover. */
export const SwitchActs = ({ side, found, again }: Readonly<{ side: Side; found: Switch; again: () => void }>) => {
  const may = useMay("cutover");
  const { word, about, asks } = SIDES[side];
  const [rehearse, start, abort] = [useAct(asks.rehearse), useAct(asks.start), useAct(asks.abort)];
  const [asking, setAsking] = useState<"start" | "abort">();
  if (!may) return <p className="quiet">To rehearse and to switch needs a token with role cutover.</p>;
  const busy = isUnderway(found);
  const problem = rehearse.problem ?? start.problem ?? abort.problem;
  const done = (): void => {
    setAsking(undefined);
    again();
  };
  return (
    <section className="card" aria-labelledby={`acts-${side}`}>
      <h2 id={`acts-${side}`}>{word}</h2>
      <p className="quiet">
        <WithCode text={about} />
      </p>
      <div aria-live="polite">{found.job !== null && <JobNote job={found.job} />}</div>
      {problem !== undefined && <ProblemNote problem={problem} />}
      <div className="row">
        <button
          type="button"
          disabled={busy || rehearse.isBusy}
          onClick={() => void rehearse.run({ body: {} }).then(again)}
        >
          Rehearse
        </button>
        <button type="button" className="main" disabled={busy || start.isBusy} onClick={() => setAsking("start")}>
          {word}…
        </button>
        {busy && (
          <button type="button" className="danger" disabled={abort.isBusy} onClick={() => setAsking("abort")}>
            Stop and go back…
          </button>
        )}
      </div>
      {asking === "start" && (
        <Confirm
          title={`${word}?`}
          verb={word}
          typed={found.migration}
          isDanger
          onClose={() => setAsking(undefined)}
          onConfirm={() => void start.run({ body: { confirm: found.migration } }).then(done)}
        >
          <p>
            <WithCode text={about} />
          </p>
          <p>
            Everything that is carried is switched. What is missing is looked at again first, and refuses it. The name
            to type is that of the migration.
          </p>
        </Confirm>
      )}
      {asking === "abort" && (
        <Confirm
          title="Stop and go back?"
          verb="Stop and go back"
          isDanger
          onClose={() => setAsking(undefined)}
          onConfirm={() => void abort.run({ body: {} }).then(done)}
        >
          <p>The fence is lifted, and services go on where they wrote before.</p>
        </Confirm>
      )}
    </section>
  );
};
