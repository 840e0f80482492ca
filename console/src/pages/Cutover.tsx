import type { Answer } from "../data/operations.ts";
import { useAsked } from "../data/useAsked.ts";
import { Head } from "../parts/Head.tsx";
import { Note, WithCode } from "../parts/Note.tsx";
import { Empty, Shown } from "../parts/Shown.tsx";
import { duration, moment, plural } from "../text/format.ts";
import { Laps } from "./cutover/Laps.tsx";

type Newest = NonNullable<Answer<"getCutover">["cutover"]>;
type Rehearsal = NonNullable<Answer<"getCutover">["rehearsal"]>;

const Checks = () => {
  const looked = useAsked("getReadiness", {}, 5000);
  return (
    <section className="card" aria-labelledby="ready">
      <h2 id="ready">Is everything ready?</h2>
      <Shown looked={looked} what="the readiness">
        {({ ready, missing, expectedPauseMs }) => (
          <>
            <ul className="checks">
              {ready && (
                <li>
                  <span className="sign good" aria-hidden="true">
                    ✓
                  </span>
                  <p>Everything is there for services to be switched over.</p>
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
                      <WithCode text={detail} /> <code>{code}</code>
                    </p>
                    <p className="quiet">
                      <WithCode text={hint} />
                    </p>
                  </div>
                </li>
              ))}
            </ul>
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

const RehearsalCard = ({ of }: Readonly<{ of: Rehearsal | null }>) => (
  <section className="card" aria-labelledby="rehearsal">
    <h2 id="rehearsal">Rehearsal</h2>
    {of === null ? (
      <Empty
        text="It was not rehearsed yet."
        more="`ferry cutover --rehearse` measures every part of the pause without a fence."
      />
    ) : (
      <>
        <p>
          The last one, {moment(of.at)}, came to a pause of <strong>{duration(of.pauseMs)}</strong>.
        </p>
        <Laps parts={of.parts} name="Parts of the rehearsed pause" />
      </>
    )}
  </section>
);

const FINAL: Readonly<Record<string, string>> = {
  over: "Services write to the target.",
  aborted: "It was aborted: services write to the source as before.",
};

const States = ({ of: { entered, state } }: Readonly<{ of: Newest }>) => (
  <ol className="timeline">
    {Object.entries(entered)
      .toSorted(([, a], [, b]) => (a < b ? -1 : 1))
      .map(([name, at]) => (
        <li
          key={name}
          className={
            name === "aborted" || name === "lifting"
              ? "bad"
              : name === state && FINAL[name] === undefined
                ? "now"
                : "done"
          }
        >
          <strong>{name}</strong>
          <span className="quiet number">{moment(at)}</span>
        </li>
      ))}
  </ol>
);

const NewestCard = ({ of }: Readonly<{ of: Newest }>) => (
  <section className="card" aria-labelledby="newest">
    <div className="card-head">
      <h2 id="newest">Cutover {of.cutover}</h2>
      <span className={`badge ${of.state === "over" ? "good" : of.state === "aborted" ? "bad" : "accent"}`}>
        {of.state}
      </span>
    </div>
    <p>
      {of.namespaces.length === 0 ? "Everything that is carried" : of.namespaces.join(", ")}, fenced by {of.fence}.{" "}
      {FINAL[of.state] ?? "It is under way."}
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

/** What is missing for the switch, how long it would take, how it went, and the way back. */
export const CutoverPage = () => {
  const looked = useAsked("getCutover");
  return (
    <>
      <Head
        title="Cutover"
        about="Services change from the source to the target in a pause that was rehearsed, with a way back."
      />
      <Shown looked={looked} what="the cutover">
        {({ cutover, rehearsal }) => (
          <>
            {cutover !== null && <NewestCard of={cutover} />}
            <Checks />
            <RehearsalCard of={rehearsal} />
          </>
        )}
      </Shown>
    </>
  );
};
