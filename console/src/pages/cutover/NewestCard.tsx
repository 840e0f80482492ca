import { Note } from "../../parts/Note.tsx";
import { duration, moment, plural } from "../../text/format.ts";
import { Laps } from "./Laps.tsx";
import type { Newest, Side } from "./Side.ts";

const FINAL: Readonly<Record<Side, Readonly<Record<string, string>>>> = {
  cutover: {
    over: "Services write to the target.",
    aborted: "It was taken back: services write to the source as before.",
  },
  rollback: {
    over: "Services write to the source again.",
    aborted: "It was taken back: services write to the target.",
  },
};

const BACK: readonly string[] = ["lifting", "aborted"];

const stepKind = (name: string, state: string): string => {
  if (BACK.includes(name)) return "bad";
  return name === state && name !== "over" ? "now" : "done";
};

const States = ({ of: { entered, state } }: Readonly<{ of: Newest }>) => (
  <ol className="timeline">
    {Object.entries(entered)
      .toSorted(([, a], [, b]) => Date.parse(a) - Date.parse(b))
      .map(([name, at]) => (
        <li key={name} className={stepKind(name, state)}>
          <strong>{name}</strong>
          <span className="quiet number">{moment(at)}</span>
        </li>
      ))}
  </ol>
);

/** How the newest cutover or rollback went, or how far it is. */
export const NewestCard = ({ of, side }: Readonly<{ of: Newest; side: Side }>) => (
  <section className="card" aria-labelledby={`newest-${side}`}>
    <div className="card-head">
      <h2 id={`newest-${side}`}>
        {side === "cutover" ? "Cutover" : "Rollback"} {of.cutover}
      </h2>
      <span className={`badge ${of.state === "over" ? "good" : BACK.includes(of.state) ? "bad" : "accent"}`}>
        {of.state}
      </span>
    </div>
    <p>
      {of.namespaces.length === 0 ? "Everything that is carried" : of.namespaces.join(", ")}, fenced by {of.fence}.{" "}
      {FINAL[side][of.state] ?? "It is under way."}
    </p>
    {of.pause.ms > 0 && (
      <>
        <p>
          Services could write on neither side for <strong>{duration(of.pause.ms)}</strong>.
        </p>
        <Laps parts={of.pause.parts} name="Parts of the pause" />
      </>
    )}
    {of.refused !== null && (
      <Note kind="bad" text={of.refused.detail} more={`${of.refused.code}, ${moment(of.refused.at)}`} />
    )}
    {of.unrestored.length > 0 && (
      <Note
        kind="warn"
        text={`${plural(of.unrestored.length, "constraint")} could not be restored`}
        more={of.unrestored.map(({ ns, index, reason }) => `${ns} ${index}: ${reason}`).join("; ")}
      />
    )}
    <States of={of} />
  </section>
);
