import { useState } from "react";
import type { Answer } from "../../data/operations.ts";
import { useAsked } from "../../data/useAsked.ts";
import { Diff } from "../../parts/Diff.tsx";
import { Panel } from "../../parts/Panel.tsx";
import { Shown } from "../../parts/Shown.tsx";
import { type Column, WindowedTable } from "../../parts/WindowedTable.tsx";
import { count, moment } from "../../text/format.ts";
import { keyText } from "../../text/keyText.ts";

type Finding = Answer<"listFindings">["findings"][number];

const LIMIT = 1000;
const HOWS: Readonly<Record<string, string>> = {
  value: "another value",
  "number-type": "another type of number",
  "field-order": "another order of fields",
};

const wordOf = ({ kind, how, path }: Finding): string => {
  if (kind === "missing") return "is missing on the target";
  if (kind === "extra") return "is on the target only";
  return `${HOWS[how ?? ""] ?? "differs"}${path === null || path === "" ? "" : ` at ${path}`}`;
};

const columnsFor = (open: ((key: unknown) => void) | undefined): readonly Column<Finding>[] => [
  {
    name: "Document",
    width: "minmax(9rem, 1fr)",
    cell: ({ key }) =>
      open === undefined || key === null ? (
        "not shown to viewers"
      ) : (
        <button type="button" className="plain" onClick={() => open(key)}>
          {keyText(key)}
        </button>
      ),
  },
  { name: "What is wrong", width: "minmax(12rem, 2fr)", cell: wordOf },
  { name: "Found", width: "10rem", cell: ({ foundAt }) => moment(foundAt) },
];

const Both = ({ route, docKey }: Readonly<{ route: string; docKey: unknown }>) => {
  const looked = useAsked("compareDocument", { query: { route, key: JSON.stringify(docKey) } }, 0);
  return (
    <Shown looked={looked} what="both versions">
      {({ expected, actual }) => (
        <>
          <p className="quiet">What the target has now, and what it should have:</p>
          <Diff before={actual} after={expected} name="As it is, and as it should be" />
        </>
      )}
    </Shown>
  );
};

/** Documents of one route that are wrong, each with both of its versions. */
export const Findings = ({ route, may }: Readonly<{ route: string; may: boolean }>) => {
  const looked = useAsked("listFindings", { query: { route, limit: LIMIT } }, 5000);
  const [open, setOpen] = useState<unknown>();
  return (
    <Shown looked={looked} what="what is wrong">
      {({ findings, total }) => (
        <>
          {total > findings.length && (
            <p className="quiet">
              The oldest {count(findings.length)} of {count(total)} are shown.
            </p>
          )}
          <WindowedTable
            name={`What is wrong in ${route}`}
            rows={findings}
            columns={columnsFor(may ? setOpen : undefined)}
            keyOf={(one) => JSON.stringify([one.key, one.foundAt])}
            least="36rem"
          />
          {open !== undefined && (
            <Panel title={`${keyText(open)} of ${route}`} onClose={() => setOpen(undefined)}>
              <Both route={route} docKey={open} />
            </Panel>
          )}
        </>
      )}
    </Shown>
  );
};
