import { fieldNames, refuseRule } from "#route/filter/fieldPath.ts";

/** A piece of a username: text as it is, or the value at a path's names. */
type Piece = string | readonly string[];

const RULE = "username";

/** `user-{_id}` in pieces; a text without braces is one path. @throws FERRY_CONFIG */
export const usernamePieces = (template: string): readonly Piece[] => {
  if (!/[{}]/.test(template)) return [fieldNames(template, RULE)];
  const pieces: Piece[] = [];
  for (let rest = template; rest !== ""; ) {
    const [whole = "", text = "", path] = /^([^{}]*)(?:\{([^{}]+)\})?/.exec(rest) ?? [];
    if (whole === "") return refuseRule(`${RULE}: ${JSON.stringify(template)} has a brace without its other`);
    if (text !== "") pieces.push(text);
    if (path !== undefined) pieces.push(fieldNames(path, RULE));
    rest = rest.slice(whole.length);
  }
  return pieces;
};
