import { useLive } from "../data/live.ts";
import type { Overview } from "../data/operations.ts";
import { noAnswer } from "../data/problem.ts";
import { Head } from "../parts/Head.tsx";
import { Note } from "../parts/Note.tsx";
import { ProblemNote } from "../parts/Shown.tsx";
import { Waiting } from "../parts/Waiting.tsx";
import { moment, sentence } from "../text/format.ts";
import { Charts } from "./overview/Charts.tsx";
import { DocumentPath } from "./overview/DocumentPath.tsx";
import { Numbers } from "./overview/Numbers.tsx";
import { RunButtons } from "./overview/RunButtons.tsx";

const Needs = ({ overview: { needs, unread } }: Readonly<{ overview: Overview }>) => {
  const [first, ...more] = needs;
  return (
    <section aria-labelledby="needs">
      <h2 id="needs" className="hidden">
        What needs a person
      </h2>
      <div className="notes" aria-live="polite">
        {first === undefined && unread.length === 0 && <Note kind="good" text="Nothing needs a person." />}
        {first !== undefined && <Note kind="bad" text={sentence(first)} />}
        {more.map((text) => (
          <Note key={text} kind="warn" text={sentence(text)} />
        ))}
        {unread.map(({ part, reason }) => (
          <Note key={part} kind="warn" text={`${part} could not be read`} more={reason} />
        ))}
      </div>
    </section>
  );
};

/** The migration at a glance, as it changes. */
export const OverviewPage = () => {
  const { overview, samples, link, why } = useLive();
  if (overview === undefined)
    return (
      <>
        <Head title="Overview" />
        {link === "lost" ? <ProblemNote problem={noAnswer(why)} /> : <Waiting what="the overview" />}
      </>
    );
  return (
    <>
      <Head title="Overview" about={`As of ${moment(overview.at)}.`}>
        <RunButtons capture={overview.capture} />
      </Head>
      <Needs overview={overview} />
      <section aria-labelledby="path">
        <h2 id="path" className="hidden">
          The path of a document
        </h2>
        <DocumentPath overview={overview} />
      </section>
      <Charts samples={samples} />
      <section aria-labelledby="numbers">
        <h2 id="numbers" className="hidden">
          Where it stands
        </h2>
        <Numbers overview={overview} />
      </section>
    </>
  );
};
