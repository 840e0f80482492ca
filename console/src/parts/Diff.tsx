import { jsonDiff } from "../text/jsonDiff.ts";

const SIGNS = { same: "  ", removed: "- ", added: "+ " } as const;
const NAMES = { same: "", removed: "only before: ", added: "only after: " } as const;

/** Two documents, field by field. */
export const Diff = ({ before, after, name }: Readonly<{ before: unknown; after: unknown; name: string }>) => {
  const lines = jsonDiff(before, after);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by the keyboard
    <pre className="diff" tabIndex={0} role="region" aria-label={name}>
      {lines.map(({ kind, text }, n) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: lines have no other name
        <span key={n} className={kind}>
          <span className="hidden">{NAMES[kind]}</span>
          <span aria-hidden="true">{SIGNS[kind]}</span>
          {text}
        </span>
      ))}
      {lines.length === 0 && <span className="same">the same</span>}
    </pre>
  );
};
