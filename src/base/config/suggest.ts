/** Edits (insert, delete, replace) that make one word the other. */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries())
      next.push(Math.min((row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1, (row[j] ?? 0) + (letter === other ? 0 : 1)));
    row = next;
  }
  return row.at(-1) ?? 0;
};

/** The known word that was probably meant; undefined where none is within `most` edits. */
export const nearest = (
  word: string,
  known: readonly string[],
  most = Math.max(2, Math.floor(word.length / 3)),
): string | undefined => {
  const ranked = known.map((candidate) => ({
    candidate,
    edits: distance(word.toLowerCase(), candidate.toLowerCase()),
  }));
  const [best] = ranked.sort((a, b) => a.edits - b.edits);
  const isOther = best === undefined || best.edits >= Math.max(word.length, best.candidate.length); // no letter is the same
  return !isOther && best.edits <= most ? best.candidate : undefined;
};

/** The end of a sentence about a word that is not known: what was probably meant, or nothing. */
export const suggestion = (word: string, known: readonly string[]): string => {
  const isPart = (one: string): boolean =>
    one.length > 2 && word.length > 2 && (word.startsWith(one) || one.startsWith(word));
  const close = known.find(isPart) ?? nearest(word, known);
  return close === undefined ? "" : `; did you mean ${close}?`;
};
