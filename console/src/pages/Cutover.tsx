import { useAsked } from "../data/useAsked.ts";
import { Head } from "../parts/Head.tsx";
import { Empty, Shown } from "../parts/Shown.tsx";
import { duration, moment } from "../text/format.ts";
import { Checks } from "./cutover/Checks.tsx";
import { FinalizeCard } from "./cutover/FinalizeCard.tsx";
import { Laps } from "./cutover/Laps.tsx";
import { NewestCard } from "./cutover/NewestCard.tsx";
import { isUnderway, SIDES, type Side, type Switch } from "./cutover/Side.ts";
import { SwitchActs } from "./cutover/SwitchActs.tsx";

const RehearsalCard = ({ of, side }: Readonly<{ of: Switch["rehearsal"]; side: Side }>) => (
  <section className="card" aria-labelledby={`rehearsal-${side}`}>
    <h2 id={`rehearsal-${side}`}>Rehearsal</h2>
    {of === null ? (
      <Empty text="It was not rehearsed yet." more="A rehearsal measures every part of the pause without a fence." />
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

const SideOf = ({ side, found, again }: Readonly<{ side: Side; found: Switch; again: () => void }>) => (
  <>
    {found.cutover !== null && <NewestCard of={found.cutover} side={side} />}
    {!isUnderway(found) && <Checks side={side} />}
    <SwitchActs side={side} found={found} again={again} />
    <RehearsalCard of={found.rehearsal} side={side} />
  </>
);

const WayBack = () => {
  const looked = useAsked(SIDES.rollback.asks.newest);
  return (
    <section className="notes" aria-labelledby="back">
      <h2 id="back">The way back</h2>
      <Shown looked={looked} what="the way back">
        {(found) => <SideOf side="rollback" found={found} again={looked.again} />}
      </Shown>
    </section>
  );
};

/** What is missing for the switch, how long it would take, the switch itself, how it went, and the way back. */
export const CutoverPage = () => {
  const looked = useAsked(SIDES.cutover.asks.newest, {}, 1000);
  return (
    <>
      <Head
        title="Cutover"
        about="Services change from the source to the target in a pause that was rehearsed, with a way back."
      />
      <Shown looked={looked} what="the cutover">
        {(found) =>
          found.cutover?.state === "over" ? (
            <>
              <NewestCard of={found.cutover} side="cutover" />
              <WayBack />
            </>
          ) : (
            <>
              <SideOf side="cutover" found={found} again={looked.again} />
              <FinalizeCard migration={found.migration} again={looked.again} />
            </>
          )
        }
      </Shown>
    </>
  );
};
