import { lazy, Suspense, useMemo, useState } from "react";
import type { Letter } from "../data/operations.ts";
import { useMay } from "../data/session.ts";
import { useAct } from "../data/useAct.ts";
import { useAsked } from "../data/useAsked.ts";
import { Head } from "../parts/Head.tsx";
import { Note } from "../parts/Note.tsx";
import { Empty, ProblemNote, Shown } from "../parts/Shown.tsx";
import { WindowedTable } from "../parts/WindowedTable.tsx";
import { type Chosen, chosenCount, isChosen, NONE, toggled, toggledAll } from "../text/chosen.ts";
import { count, plural } from "../text/format.ts";
import { LetterPanel } from "./letters/LetterPanel.tsx";
import { letterColumns } from "./letters/letterColumns.tsx";

const Confirm = lazy(async () => ({ default: (await import("../parts/Confirm.tsx")).Confirm }));

type Verdict = "replay" | "discard";
/** The first look; a list that is scrolled to its end is asked for whole. */
const [FEW, ALL] = [500, 10_000];

const Filter = ({
  letters,
  route,
  reason,
  setRoute,
  setReason,
}: Readonly<{
  letters: readonly Letter[];
  route: string;
  reason: string;
  setRoute: (route: string) => void;
  setReason: (reason: string) => void;
}>) => {
  const routes = [...new Set([...letters.map((one) => one.route), ...(route === "" ? [] : [route])])].sort();
  const reasons = [...new Set([...letters.map((one) => one.code), ...(reason === "" ? [] : [reason])])].sort();
  return (
    <>
      <label>
        Route
        <select value={route} onChange={(event) => setRoute(event.target.value)}>
          <option value="">all routes</option>
          {routes.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      <label>
        Reason
        <select value={reason} onChange={(event) => setReason(event.target.value)}>
          <option value="">all reasons</option>
          {reasons.map((code) => (
            <option key={code}>{code}</option>
          ))}
        </select>
      </label>
    </>
  );
};

const WORDS = {
  replay: {
    title: "Replay",
    about: "They are applied again in their order. What the target still refuses stays here.",
  },
  discard: {
    title: "Discard",
    about: "They are not applied. That cannot be taken back: the documents stay as they are on the target.",
  },
} as const;

/** Events that could not be applied: look, replay, discard, also thousands at once. */
export const DeadLettersPage = () => {
  const may = useMay("operator");
  const [route, setRoute] = useState("");
  const [reason, setReason] = useState("");
  const [limit, setLimit] = useState(FEW);
  const [chosen, setChosen] = useState<Chosen>(NONE);
  const [open, setOpen] = useState<string>();
  const [asking, setAsking] = useState<Verdict>();
  const act = useAct("decideLetters");
  const filter = { ...(route === "" ? {} : { route }), ...(reason === "" ? {} : { reason }) };
  const looked = useAsked("listLetters", { query: { ...filter, limit } }, limit === FEW ? 3000 : 15_000, true);
  const total = looked.answer?.total ?? 0;
  const letters = looked.answer?.letters ?? [];
  const columns = useMemo(
    () =>
      letterColumns({
        may,
        chosen,
        toggle: (id) => setChosen((last) => toggled(last, id)),
        toggleAll: () => setChosen(toggledAll),
        open: setOpen,
      }),
    [may, chosen],
  );
  const n = chosenCount(chosen, total);

  const decide = async (verdict: Verdict, ids?: readonly string[]): Promise<void> => {
    setAsking(undefined);
    setOpen(undefined);
    const isWhole = ids === undefined && chosen.all && chosen.except.size === 0;
    const all = Object.keys(filter).length === 0 ? { all: true } : filter;
    const one = ids ?? letters.filter(({ id }) => isChosen(chosen, id)).map(({ id }) => id);
    await act.run({ body: { verdict, ...(isWhole ? all : { ids: [...one] }) } });
    setChosen(NONE);
    looked.again();
  };

  return (
    <>
      <Head
        title="Dead letters"
        about="Events that could not be applied. Later events of the same document wait behind them."
      />
      {act.problem !== undefined && <ProblemNote problem={act.problem} />}
      {act.done !== undefined && (
        <div role="status">
          <Note
            kind="good"
            text={`Decided on ${plural(act.done.noted, "letter")}.`}
            more={
              act.done.workers === 0
                ? "No worker is alive: it is carried out when one runs."
                : "The owners of their partitions carry it out."
            }
          />
        </div>
      )}
      <div className="row">
        <Filter letters={letters} route={route} reason={reason} setRoute={setRoute} setReason={setReason} />
        {may && (
          <>
            <button type="button" className="main" disabled={n === 0 || act.isBusy} onClick={() => setAsking("replay")}>
              Replay {n > 0 && count(n)}
            </button>
            <button
              type="button"
              className="danger"
              disabled={n === 0 || act.isBusy}
              onClick={() => setAsking("discard")}
            >
              Discard {n > 0 && count(n)}
            </button>
          </>
        )}
      </div>
      <Shown looked={looked} what="the dead letters">
        {() =>
          total === 0 ? (
            <Empty
              text="There are no dead letters."
              more="Every event was applied, superseded, or left out by a rule."
            />
          ) : (
            <>
              <p className="quiet" role="status">
                {plural(total, "letter")}
                {may && n > 0 ? `, ${count(n)} chosen` : ""}
              </p>
              <WindowedTable
                name="Dead letters"
                rows={letters}
                columns={columns}
                keyOf={({ id }) => id}
                isChosen={({ id }) => isChosen(chosen, id)}
                total={total}
                onEnd={() => total > limit && setLimit(ALL)}
                least="58rem"
              />
            </>
          )
        }
      </Shown>
      {!may && <p className="quiet">Records, replay and discard need a token with role operator.</p>}
      {open !== undefined && (
        <LetterPanel
          id={open}
          onClose={() => setOpen(undefined)}
          onDecide={(verdict) => void decide(verdict, [open])}
        />
      )}
      {asking !== undefined && (
        <Suspense>
          <Confirm
            title={`${WORDS[asking].title} ${plural(n, "dead letter")}?`}
            verb={WORDS[asking].title}
            isDanger={asking === "discard"}
            {...(asking === "discard" && n > 1 ? { typed: "discard" } : {})}
            onClose={() => setAsking(undefined)}
            onConfirm={() => void decide(asking)}
          >
            <p>{WORDS[asking].about}</p>
          </Confirm>
        </Suspense>
      )}
    </>
  );
};
