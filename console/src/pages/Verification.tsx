import { useState } from "react";
import type { Answer } from "../data/operations.ts";
import { useMay } from "../data/session.ts";
import { useAsked } from "../data/useAsked.ts";
import { Bar } from "../parts/Bar.tsx";
import { Head } from "../parts/Head.tsx";
import { Note } from "../parts/Note.tsx";
import { Empty, Shown } from "../parts/Shown.tsx";
import { count, moment, plural } from "../text/format.ts";
import { Findings } from "./verification/Findings.tsx";

type Route = Answer<"getVerification">["routes"][number];

/** No more can be told apart. */
const MOST_CELLS = 240;

const RangesMap = ({ of: { route, ranges, rangesDone } }: Readonly<{ of: Route }>) => {
  const shown = Math.min(ranges, MOST_CELLS);
  const done = Math.floor((rangesDone / Math.max(1, ranges)) * shown);
  return (
    <div className="cells" role="img" aria-label={`${route}: ${rangesDone} of ${plural(ranges, "range")} compared`}>
      {Array.from({ length: shown }, (_, n) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: ranges are known by their place
        <span key={n} className={n < done ? "done" : ""} />
      ))}
    </div>
  );
};

const stateOf = ({ finishedAt, followedAt, wrong }: Route): readonly [string, string] => {
  if (wrong > 0) return [`${count(wrong)} wrong`, "bad"];
  if (finishedAt === null) return ["under way", "accent"];
  return [followedAt === null ? "nothing wrong" : "nothing wrong, followed", "good"];
};

const RouteCard = ({ of, may }: Readonly<{ of: Route; may: boolean }>) => {
  const [isOpen, setIsOpen] = useState(false);
  const [word, kind] = stateOf(of);
  const share = of.ranges === 0 ? 1 : of.rangesDone / of.ranges;
  return (
    <li className="card">
      <div className="card-head">
        <h2>{of.route}</h2>
        <span className={`badge ${kind}`}>{word}</span>
      </div>
      <Bar
        share={share}
        name={`${of.route} compared`}
        kind={of.wrong > 0 ? "bad" : of.finishedAt === null ? "" : "good"}
      />
      {of.ranges > 1 && <RangesMap of={of} />}
      <p className="quiet">
        {plural(of.documents, "document")} compared in pass {of.pass}, begun {moment(of.startedAt)}
        {of.finishedAt !== null && `, ended ${moment(of.finishedAt)}`}.
        {of.behind > 0 && ` ${count(of.behind)} were on their way.`}
        {of.verifiedTo !== null && ` What the source had committed by ${moment(of.verifiedTo)} is proven.`}
      </p>
      {of.wrong > 0 && (
        <>
          <button type="button" aria-expanded={isOpen} onClick={() => setIsOpen(!isOpen)}>
            {isOpen ? "Hide" : "Show"} what is wrong<span className="hidden"> in {of.route}</span>
          </button>
          {isOpen && <Findings route={of.route} may={may} />}
        </>
      )}
    </li>
  );
};

const Structure = ({ of }: Readonly<{ of: Answer<"getVerification">["structure"] }>) => {
  if (of === null) return null;
  const deferred = of.deferred === 0 ? "" : `${plural(of.deferred, "constraint")} wait for the end of the run.`;
  return of.wrong.length === 0 ? (
    <Note
      kind="good"
      text={`Collections, indexes and views were as they should be at ${moment(of.at)}.`}
      more={deferred}
    />
  ) : (
    <Note
      kind="bad"
      text={`Not as it should be: ${of.wrong.join(", ")}`}
      more={`Looked at ${moment(of.at)}. ${deferred}`}
    />
  );
};

/** How much is proven to be the same on both sides, and what is not. */
export const VerificationPage = () => {
  const looked = useAsked("getVerification");
  const may = useMay("operator");
  return (
    <>
      <Head
        title="Verification"
        about="Every document of the source is compared with the target's, byte for byte, while both change."
      />
      <Shown looked={looked} what="the verification">
        {({ routes, structure }) => (
          <>
            <Structure of={structure} />
            {routes.length === 0 ? (
              <Empty
                text="Nothing was verified yet."
                more="Start it with: ferry verify --source URI --target URI --follow"
              />
            ) : (
              <ul className="notes">
                {routes.map((one) => (
                  <RouteCard key={one.route} of={one} may={may} />
                ))}
              </ul>
            )}
            {routes.some(({ wrong }) => wrong > 0) && (
              <Note
                kind="plain"
                text="`ferry repair` writes again what is wrong, from the source, and looks whether it is right then."
              />
            )}
          </>
        )}
      </Shown>
    </>
  );
};
