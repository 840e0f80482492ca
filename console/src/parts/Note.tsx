/** Words between backticks are code. */
export const WithCode = ({ text }: Readonly<{ text: string }>) =>
  text
    .split("`")
    // biome-ignore lint/suspicious/noArrayIndexKey: parts of one sentence have no other name
    .map((part, n) => (n % 2 === 0 ? part : <code key={n}>{part}</code>));

/** One sentence, and another one below it where there is more to say. */
export const Sentences = ({ text, more }: Readonly<{ text: string; more: string }>) => (
  <>
    <p>
      <WithCode text={text} />
    </p>
    {more !== "" && (
      <p>
        <WithCode text={more} />
      </p>
    )}
  </>
);

/** A sentence that stands out. */
export const Note = ({
  kind,
  text,
  more = "",
}: Readonly<{ kind: "good" | "warn" | "bad" | "plain"; text: string; more?: string }>) => (
  <div className={`note ${kind}`}>
    <div>
      <Sentences text={text} more={more} />
    </div>
  </div>
);
