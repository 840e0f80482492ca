import { Cursor, rawValue } from "#base/bson/walk.ts";

const cursor = new Cursor();

/**
 * What an updateDescription says of its paths: servers from 6.1 on tell names with dots or digits apart from steps and
 * indexes in `disambiguatedPaths` (MongoDB manual, "Change Events").
 * - `plain`: each dot is a step, each number behind one an index of an array;
 * - `odd`: it names paths with dots or digits in their names;
 * - `untold`: an older server. `a.b` may be a field of that name, beside `a: { b }` or without it.
 */
type Paths = "plain" | "odd" | "untold";

const pathsOf = (update: Uint8Array): Paths => {
  const raw = rawValue(update, "disambiguatedPaths");
  if (raw === undefined) return "untold";
  return cursor.open(raw) && cursor.next() ? "odd" : "plain";
};

const WHY: Readonly<Record<Exclude<Paths, "plain">, string>> = {
  odd: "a path has names with dots or digits",
  untold: "a path has a dot, and this server does not say whether it is part of a name",
};

/**
 * Tells for each path of an updateDescription why it is ambiguous; undefined where there is only one
 * that it can name. @param update raw BSON
 */
export const doubtOf = (update: Uint8Array): ((path: string) => string | undefined) => {
  const told = pathsOf(update);
  if (told === "plain") return () => undefined;
  return told === "odd" ? () => WHY.odd : (path) => (path.includes(".") ? WHY.untold : undefined);
};
