import { Dialog, DialogDismiss, DialogHeading } from "@ariakit/react/dialog";
import { type ReactNode, useState } from "react";

/** Asks before something is done. With `typed`, that word must be typed: what it does cannot be taken back by a click. */
export const Confirm = ({
  title,
  verb,
  typed,
  isDanger = false,
  onConfirm,
  onClose,
  children,
}: Readonly<{
  title: string;
  verb: string;
  typed?: string;
  isDanger?: boolean;
  onConfirm: () => void;
  onClose: () => void;
  children: ReactNode;
}>) => {
  const [word, setWord] = useState("");
  return (
    <Dialog open onClose={onClose} className="dialog" backdrop={<div className="backdrop" />}>
      <DialogHeading>{title}</DialogHeading>
      {children}
      {typed !== undefined && (
        <label>
          <span>
            Type <strong>{typed}</strong> to go on
          </span>
          <input value={word} onChange={(event) => setWord(event.target.value)} autoComplete="off" spellCheck={false} />
        </label>
      )}
      <div className="row">
        <button
          type="button"
          className={isDanger ? "danger" : "main"}
          disabled={typed !== undefined && word !== typed}
          onClick={onConfirm}
        >
          {verb}
        </button>
        <DialogDismiss>Not now</DialogDismiss>
      </div>
    </Dialog>
  );
};
