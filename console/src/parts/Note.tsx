/** Words between backticks are code. */
export const WithCode = ({ text }: Readonly<{ text: string }>) =>
  text
    .split("`")
    // biome-ignore lint/suspicious/noArrayIndexKey: parts of one sentence have no other name
    .map((part, n) => (n % 2 === 0 ? part : <code key={n}>{part}</code>));

/** A sentence that stands out. */
export const Note = ({
  kind,
  text,
  more = "",
}: Readonly<{ kind: "good" | "warn" | "bad" | "plain"; text: string; more?: string }>) => (
  <div className={`note ${kind}`}>
    <div>
      <p>
        <WithCode text={text} />
      </p>
      {more !== "" && (
        <p>
          <WithCode text={more} />
        </p>
      )}
    </div>
  </div>
);
