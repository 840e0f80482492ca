import { useState } from "react";
import type { Answer } from "../../data/operations.ts";
import { useAsked } from "../../data/useAsked.ts";
import { Panel } from "../../parts/Panel.tsx";
import { Shown } from "../../parts/Shown.tsx";
import { bytes, count, moment } from "../../text/format.ts";
import { keyText } from "../../text/keyText.ts";

const pretty = (text: string): string => {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
};

const Facts = ({ letter }: Readonly<{ letter: Answer<"getLetter"> }>) => (
  <dl className="facts">
    <dt>Reason</dt>
    <dd>
      <code>{letter.code}</code> {letter.reason}
    </dd>
    {letter.clash !== null && (
      <>
        <dt>Clashes</dt>
        <dd>
          in index <code>{letter.clash.index}</code>
          {letter.clash.other !== null && (
            <>
              {" "}
              with <code>{keyText(letter.clash.other)}</code>
            </>
          )}
        </dd>
      </>
    )}
    <dt>Document</dt>
    <dd>
      <code>{keyText(letter.key) ?? "not known"}</code>
    </dd>
    <dt>Route</dt>
    <dd>{letter.route}</dd>
    <dt>Place</dt>
    <dd className="number">
      {letter.topic}, partition {letter.partition}, offset {letter.offset}
    </dd>
    <dt>Stored</dt>
    <dd>
      {moment(letter.storedAt)}, tried {count(letter.attempts)} times, {bytes(letter.rawBytes)}
    </dd>
  </dl>
);

/** One letter with its record, and what can be done with it. */
export const LetterPanel = ({
  id,
  onClose,
  onDecide,
}: Readonly<{ id: string; onClose: () => void; onDecide: (verdict: "replay" | "discard") => void }>) => {
  const looked = useAsked("getLetter", { params: { id } }, 0);
  const [isSure, setIsSure] = useState(false);
  return (
    <Panel title="Dead letter" onClose={onClose}>
      <Shown looked={looked} what="the letter">
        {(letter) => (
          <>
            <Facts letter={letter} />
            {letter.value !== null && (
              // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by the keyboard
              <pre className="raw" tabIndex={0} role="region" aria-label="Record">
                {pretty(letter.value)}
              </pre>
            )}
            <div className="row">
              <button type="button" className="main" onClick={() => onDecide("replay")}>
                Replay
              </button>
              <button type="button" className="danger" onClick={() => (isSure ? onDecide("discard") : setIsSure(true))}>
                {isSure ? "Discard, for good" : "Discard"}
              </button>
            </div>
          </>
        )}
      </Shown>
    </Panel>
  );
};
