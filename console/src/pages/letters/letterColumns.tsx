import type { Letter } from "../../data/operations.ts";
import type { Column } from "../../parts/WindowedTable.tsx";
import { type Chosen, isChosen } from "../../text/chosen.ts";
import { bytes, count, moment } from "../../text/format.ts";
import { keyText } from "../../text/keyText.ts";

const STATES = { waiting: ["waits", "bad"], replay: ["is replayed", "accent"], discard: ["is discarded", ""] } as const;

export type LetterActs = Readonly<{
  may: boolean;
  chosen: Chosen;
  toggle: (id: string) => void;
  toggleAll: () => void;
  open: (id: string) => void;
}>;

const choice = ({ chosen, toggle, toggleAll }: LetterActs): Column<Letter> => ({
  name: "Choose",
  width: "1.5rem",
  head: (
    <input
      type="checkbox"
      aria-label="Choose all"
      checked={chosen.all && chosen.except.size === 0}
      onChange={toggleAll}
    />
  ),
  cell: ({ id }) => (
    <input type="checkbox" aria-label={`Choose ${id}`} checked={isChosen(chosen, id)} onChange={() => toggle(id)} />
  ),
});

const nameOf = ({ id, key }: Letter, may: boolean, open: (id: string) => void) => {
  const text = keyText(key) ?? id;
  return may ? (
    <button type="button" className="plain" title={text} onClick={() => open(id)}>
      {text}
    </button>
  ) : (
    text
  );
};

export const letterColumns = (acts: LetterActs): readonly Column<Letter>[] => [
  ...(acts.may ? [choice(acts)] : []),
  { name: "Document", width: "minmax(9rem, 1.4fr)", cell: (letter) => nameOf(letter, acts.may, acts.open) },
  { name: "Route", width: "minmax(7rem, 1fr)", cell: ({ route }) => <span title={route}>{route}</span> },
  {
    name: "Reason",
    width: "minmax(14rem, 3fr)",
    cell: ({ code, reason }) => (
      <span title={reason}>
        <code>{code}</code> {reason}
      </span>
    ),
  },
  { name: "Tries", width: "3rem", isNumber: true, cell: ({ attempts }) => count(attempts) },
  { name: "Size", width: "5rem", isNumber: true, cell: ({ rawBytes }) => bytes(rawBytes) },
  { name: "Stored", width: "6rem", cell: ({ storedAt }) => moment(storedAt) },
  {
    name: "State",
    width: "6.5rem",
    cell: ({ state }) => <span className={`badge ${STATES[state][1]}`}>{STATES[state][0]}</span>,
  },
];
