import type { Answer } from "../data/operations.ts";
import { useMay } from "../data/session.ts";
import { useAsked } from "../data/useAsked.ts";
import { Head } from "../parts/Head.tsx";
import { Note } from "../parts/Note.tsx";
import { Empty, ShownList } from "../parts/Shown.tsx";
import { type Column, WindowedTable } from "../parts/WindowedTable.tsx";
import { moment } from "../text/format.ts";

type Entry = Answer<"listAudit">[number];

const shown = (value: unknown): string =>
  value === null || value === undefined ? "—" : typeof value === "string" ? value : JSON.stringify(value);

const COLUMNS: readonly Column<Entry>[] = [
  { name: "When", width: "11rem", cell: ({ at }) => moment(at) },
  { name: "Who", width: "minmax(9rem, 1.5fr)", cell: ({ who }) => <span title={who}>{who}</span> },
  { name: "By", width: "3rem", cell: ({ via }) => via },
  { name: "Did", width: "minmax(8rem, 1fr)", cell: ({ action }) => <code>{action}</code> },
  { name: "Of", width: "minmax(8rem, 2fr)", cell: ({ on }) => <span title={on}>{on}</span> },
  {
    name: "Before",
    width: "minmax(5rem, 1fr)",
    cell: ({ before }) => <span title={shown(before)}>{shown(before)}</span>,
  },
  { name: "After", width: "minmax(5rem, 1fr)", cell: ({ after }) => <span title={shown(after)}>{shown(after)}</span> },
];

const keyOf = (entry: Entry): string => JSON.stringify(entry);

const Log = () => {
  const looked = useAsked("listAudit", { query: { limit: 1000 } }, 5000);
  return (
    <ShownList looked={looked} what="the audit log" empty={<Empty text="Nobody has changed anything." />}>
      {(entries) => <WindowedTable name="Audit log" rows={entries} columns={COLUMNS} keyOf={keyOf} least="60rem" />}
    </ShownList>
  );
};

/** Who asked for which change. */
export const AuditPage = () => {
  const may = useMay("operator");
  return (
    <>
      <Head title="Audit" about="Who asked for which change, the newest first. Nothing here is ever removed." />
      {may ? <Log /> : <Note kind="plain" text="The audit log is shown to tokens with role operator." />}
    </>
  );
};
