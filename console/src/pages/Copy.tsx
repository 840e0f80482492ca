import { useRef } from "react";
import { useLive } from "../data/live.ts";
import type { Answer } from "../data/operations.ts";
import { useAsked } from "../data/useAsked.ts";
import { Bar, shareStyle } from "../parts/Bar.tsx";
import { Head } from "../parts/Head.tsx";
import { Empty, Shown } from "../parts/Shown.tsx";
import { count, duration, percent, plural, shareOf, sum } from "../text/format.ts";
import { Pace } from "../text/pace.ts";

type Collection = Answer<"listCopy">[number];

const Ranges = ({ of: { topic, shares, rangesDone, ranges } }: Readonly<{ of: Collection }>) => (
  <div className="cells" role="img" aria-label={`${topic}: ${rangesDone} of ${plural(ranges, "range")} done`}>
    {shares.map((share, n) => (
      // biome-ignore lint/suspicious/noArrayIndexKey: ranges are known by their place
      <span key={n} className={share === 1 ? "done" : ""} style={shareStyle(share)} />
    ))}
  </div>
);

const etaOf = ({ documents, estimate }: Collection, perSecond: number | undefined): string => {
  if (estimate === null || perSecond === undefined || perSecond < 1) return "";
  return `about ${duration((Math.max(0, estimate - documents) / perSecond) * 1000)} left`;
};

const CollectionRow = ({ of, perSecond }: Readonly<{ of: Collection; perSecond: number | undefined }>) => {
  const { topic, documents, estimate, ranges, rangesDone } = of;
  const isDone = ranges === rangesDone;
  const share = isDone ? 1 : shareOf(documents, estimate);
  const rate = isDone || perSecond === undefined ? "" : `${count(perSecond)}/s`;
  return (
    <li className="card">
      <div className="card-head">
        <h2>{topic}</h2>
        <span className="number">
          {count(documents)}
          {estimate !== null && !isDone && ` of about ${count(estimate)}`}
          {share !== undefined && ` · ${percent(isDone ? 1 : Math.min(share, 0.99))}`}
        </span>
      </div>
      {share !== undefined && <Bar share={share} name={`${topic} copied`} kind={isDone ? "good" : ""} />}
      {ranges > 1 && <Ranges of={of} />}
      <p className="quiet">
        {rangesDone} of {plural(ranges, "range")} done
        {[rate, isDone ? "" : etaOf(of, perSecond)].filter((one) => one !== "").map((text) => ` · ${text}`)}
      </p>
    </li>
  );
};

/** How far the copy of each collection is. */
export const CopyPage = () => {
  const { overview } = useLive();
  const looked = useAsked("listCopy");
  const pace = useRef(new Pace());
  if (looked.answer !== undefined)
    pace.current.note(Date.now(), new Map(looked.answer.map(({ topic, documents }) => [topic, documents])));
  const copy = overview?.copy ?? null;
  return (
    <>
      <Head
        title="Copy"
        about="What exists when a migration begins is read in ranges of _id; changes follow after it."
      />
      <Shown looked={looked} what="the copy">
        {(collections) => {
          if (collections.length === 0)
            return (
              <Empty
                text="ferry copies nothing here."
                more="Where a connector captures, its own copy fills the topics: see Lanes & workers for how far they are read."
              />
            );
          const [documents, estimate] = [sum(collections, (one) => one.documents), copy?.estimate ?? null];
          const isDone = collections.every(({ ranges, rangesDone }) => ranges === rangesDone);
          const share = isDone ? 1 : Math.min(0.99, shareOf(documents, estimate) ?? 0);
          return (
            <>
              <section className="card" aria-label="All collections">
                <div className="card-head">
                  <h2>{plural(collections.length, "collection")}</h2>
                  <span className="number">
                    {count(documents)}
                    {estimate !== null && !isDone && ` of about ${count(estimate)}`} · {percent(share)}
                  </span>
                </div>
                <Bar share={share} name="All collections copied" kind={isDone ? "good" : ""} />
                <p className="quiet">
                  {isDone && "The copy is complete."}
                  {!isDone && copy?.perSecond != null && `${count(copy.perSecond)} documents/s on the target`}
                  {!isDone && copy?.etaMs != null && ` · about ${duration(copy.etaMs)} left`}
                </p>
              </section>
              <ul className="notes">
                {collections.map((one) => (
                  <CollectionRow key={one.topic} of={one} perSecond={pace.current.perSecond(one.topic)} />
                ))}
              </ul>
            </>
          );
        }}
      </Shown>
    </>
  );
};
