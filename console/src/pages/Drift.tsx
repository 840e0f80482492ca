import { useState } from "react";
import type { Answer } from "../data/operations.ts";
import { useMay } from "../data/session.ts";
import { useAct } from "../data/useAct.ts";
import { useAsked } from "../data/useAsked.ts";
import { Head } from "../parts/Head.tsx";
import { Empty, ProblemNote, ShownList } from "../parts/Shown.tsx";
import { moment, plural } from "../text/format.ts";

type Line = Answer<"listDrift">[number];

const KINDS = { open: "open", pass: "done", drop: "", hold: "open", stop: "bad" } as const;
const WORDS = {
  open: ["not decided", "warn"],
  pass: ["passes", "good"],
  drop: ["left out", ""],
  hold: ["held", "warn"],
  stop: ["stops the route", "bad"],
} as const;

/** A change of the copy has no time of its own. */
const whenOf = ({ seconds }: Line["first"]): string => (seconds === 0 ? "in the copy" : moment(seconds * 1000));

const Decide = ({ line, onDone }: Readonly<{ line: Line; onDone: () => void }>) => {
  const { isBusy, problem, done, run } = useAct("decideDrift");
  const decide = async (verdict: "pass" | "drop"): Promise<void> => {
    const { route, path, type } = line;
    const answer = await run({ body: { route, path, type, verdict } });
    if (answer !== undefined) onDone();
  };
  const named = (
    <span className="hidden">
      {" "}
      {line.path} ({line.type})
    </span>
  );
  return (
    <div className="row middle">
      <button type="button" disabled={isBusy || line.outcome === "pass"} onClick={() => void decide("pass")}>
        Pass{named}
      </button>
      <button type="button" disabled={isBusy || line.outcome === "drop"} onClick={() => void decide("drop")}>
        Leave out{named}
      </button>
      {done !== undefined && done.held > 0 && (
        <span role="status">{plural(done.held, "held event")} applied again</span>
      )}
      {problem !== undefined && <ProblemNote problem={problem} />}
    </div>
  );
};

const Entry = ({ line, may, onDone }: Readonly<{ line: Line; may: boolean; onDone: () => void }>) => {
  const [word, kind] = WORDS[line.outcome];
  return (
    <li className={KINDS[line.outcome]}>
      <span className="quiet number">
        {whenOf(line.first)} · {line.route}
      </span>
      <h2>
        <code>{line.path}</code> {line.kind === "field" ? "appeared" : "got another type"}, <code>{line.type}</code>{" "}
        <span className={`badge ${kind}`}>{word}</span>
      </h2>
      <p>
        In {plural(line.count, "document")} so far, last {whenOf(line.last)}.
        {line.example !== null && (
          <>
            {" "}
            First in <code>{JSON.stringify(line.example)}</code>.
          </>
        )}
      </p>
      {may && <Decide line={line} onDone={onDone} />}
    </li>
  );
};

/** Fields and types in the order in which they appeared. */
export const DriftPage = () => {
  const [all, setAll] = useState(false);
  const looked = useAsked("listDrift", { query: { all } }, 5000);
  const may = useMay("operator");
  return (
    <>
      <Head title="Drift" about="When did a field appear, in how many documents, and what is done with it?">
        <label className="row middle">
          <input type="checkbox" checked={all} onChange={(event) => setAll(event.target.checked)} />
          also what was there at the start
        </label>
      </Head>
      <ShownList
        looked={looked}
        what="the timeline"
        empty={
          <Empty
            text="No field has appeared, and none has another type."
            more="What was there when a route began is not drift."
          />
        }
      >
        {(lines) => (
          <ol className="timeline">
            {lines.toReversed().map((line) => (
              <Entry key={`${line.route}/${line.path}/${line.type}`} line={line} may={may} onDone={looked.again} />
            ))}
          </ol>
        )}
      </ShownList>
      {!may && <p className="quiet">To decide needs a token with role operator.</p>}
    </>
  );
};
