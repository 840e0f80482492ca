import { useState } from "react";
import type { Answer } from "../data/operations.ts";
import { useMay } from "../data/session.ts";
import { useAsked } from "../data/useAsked.ts";
import { Diff } from "../parts/Diff.tsx";
import { Head } from "../parts/Head.tsx";
import { Panel } from "../parts/Panel.tsx";
import { Empty, Shown } from "../parts/Shown.tsx";
import { Tile } from "../parts/Tile.tsx";
import { type Column, WindowedTable } from "../parts/WindowedTable.tsx";
import { count, moment, sum } from "../text/format.ts";
import { keyText } from "../text/keyText.ts";

type Conflict = Answer<"listConflicts">["conflicts"][number];
const LIMIT = 1000;

const columnsFor = (open: (id: string) => void): readonly Column<Conflict>[] => [
  {
    name: "Document",
    width: "minmax(10rem, 2fr)",
    cell: ({ id, key }) => (
      <button type="button" className="plain" onClick={() => open(id)}>
        {keyText(key) ?? id}
      </button>
    ),
  },
  { name: "Collection", width: "minmax(8rem, 1.5fr)", cell: ({ ns }) => ns },
  { name: "Winner", width: "6rem", cell: ({ winner }) => <span className="badge accent">{winner}</span> },
  { name: "Why", width: "minmax(8rem, 2fr)", cell: ({ why }) => <span title={why}>{why}</span> },
  { name: "Noted", width: "10rem", cell: ({ storedAt }) => moment(storedAt) },
];

const Versions = ({ id }: Readonly<{ id: string }>) => {
  const looked = useAsked("getConflict", { params: { id } }, 0);
  const may = useMay("operator");
  return (
    <Shown looked={looked} what="both versions">
      {(found) => (
        <>
          <dl className="facts">
            <dt>Collection</dt>
            <dd>{found.ns}</dd>
            <dt>Winner</dt>
            <dd>
              {found.winner}, by policy {found.policy}
            </dd>
            <dt>Why</dt>
            <dd>{found.why}</dd>
          </dl>
          {may ? (
            <>
              <p className="quiet">What the target had, and what the source has:</p>
              <Diff before={found.target} after={found.source} name="The target's version, and the source's" />
            </>
          ) : (
            <p className="quiet">Documents are shown to tokens with role operator.</p>
          )}
        </>
      )}
    </Shown>
  );
};

/** Documents that the source and services of the target both wrote. */
export const ConflictsPage = () => {
  const looked = useAsked("listConflicts", { query: { limit: LIMIT } }, 5000);
  const [open, setOpen] = useState<string>();
  return (
    <>
      <Head title="Conflicts" about="Documents that the source and services of the target both wrote, and who won." />
      <Shown looked={looked} what="the conflicts">
        {({ conflicts, totals }) =>
          conflicts.length === 0 ? (
            <Empty
              text="There are no conflicts."
              more="Nobody but ferry has written to a document that the source changed."
            />
          ) : (
            <>
              <div className="tiles">
                {totals.map((one) => (
                  <Tile
                    key={`${one.route}/${one.winner}`}
                    name={one.route}
                    value={count(one.count)}
                    more={`won by the ${one.winner}`}
                  />
                ))}
              </div>
              {sum(totals, (one) => one.count) > conflicts.length && (
                <p className="quiet">The oldest {count(conflicts.length)} are shown.</p>
              )}
              <WindowedTable name="Conflicts" rows={conflicts} columns={columnsFor(setOpen)} keyOf={({ id }) => id} />
            </>
          )
        }
      </Shown>
      {open !== undefined && (
        <Panel title="Conflict" onClose={() => setOpen(undefined)}>
          <Versions id={open} />
        </Panel>
      )}
    </>
  );
};
