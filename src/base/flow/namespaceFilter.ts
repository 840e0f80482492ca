import { FerryError } from "#base/errors/ferryError.ts";
import { seriesOf } from "./buckets.ts";
import { quoted } from "./quoted.ts";
import { type Namespace, parseNamespace } from "./types.ts";

/** What the server allows in no database's name. Source: MongoDB manual, "Naming Restrictions". */
const NO_DATABASE = /[/\\"$\s\0]/;

/**
 * The one meaning of names and globs over namespaces, for what is carried, left out, built and listed. `*` stands for any
 * characters, `?` for one. The first dot divides database and collection, as it does in a namespace: `sh*.users` is the
 * collection `users` of databases that begin with `sh`, not `shop.old.users`. A pattern without a dot is a whole database.
 * A time series' buckets are meant by the name of their time series.
 */
export class NamespacePattern {
  /** As it was written, without blanks around it. */
  readonly text: string;
  readonly db: string;
  /** `*` where a whole database is meant. */
  readonly coll: string;
  readonly #db: RegExp;
  readonly #coll: RegExp;

  /** @throws FERRY_USAGE where it can name no database, or ends where its collection should begin */
  constructor(text: string) {
    this.text = text.trim();
    const { db, coll } = parseNamespace(this.text);
    if (db === "" || (coll === "" && this.text.includes(".")))
      throw new FerryError("FERRY_USAGE", `${JSON.stringify(text)} names no namespace; write db.collection or db.*`);
    if (NO_DATABASE.test(db))
      throw new FerryError("FERRY_USAGE", `${JSON.stringify(text)}: no database's name has any of / \\ " $ or a blank`);
    this.db = db;
    this.coll = coll === "" ? "*" : coll;
    this.#db = new RegExp(globSource(this.db), "s");
    this.#coll = new RegExp(globSource(this.coll), "s");
  }

  matches(ns: Namespace): boolean {
    return this.#db.test(ns.db) && this.#coll.test((seriesOf(ns) ?? ns).coll);
  }

  matchesDatabase(db: string): boolean {
    return this.#db.test(db);
  }

  /** Does it stand for names that are not known yet? */
  get isGlob(): boolean {
    return isGlob(this.text);
  }
}

/** Does a name contain wildcards? */
export const isGlob = (name: string): boolean => /[*?]/.test(name);

/** The source of the regular expression for a glob over one name, for ferry's and the server's engine alike. */
export const globSource = (glob: string): string => `^${quoted(glob).replaceAll("\\*", ".*").replaceAll("\\?", ".")}$`;

/** Which namespaces are meant, as the operator said it: names or globs. Nothing included: everything. */
export type NamespaceSpec = Readonly<{ include: readonly string[]; exclude: readonly string[] }>;

/** A list as people write it, its parts without blanks. */
export const listed = (text: string): readonly string[] =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");

/** A text without any name gives the empty one, which is refused: a shell's unset variable must not mean everything. */
const namesListed = (text: string): readonly string[] => {
  const names = listed(text);
  return names.length === 0 ? [""] : names;
};

/** Names that a person may have meant as namespaces; each text may hold several, comma-separated. @throws FERRY_USAGE */
export const parseNames = (include: readonly string[], exclude: readonly string[]): NamespaceSpec => {
  const spec = { include: include.flatMap(namesListed), exclude: exclude.flatMap(namesListed) };
  new NamespaceFilter(spec); // looks at each
  return spec;
};

/** The databases of names and globs, each once; one "" where a glob may stand for any. @throws FERRY_USAGE */
export const databasesNamed = (names: readonly string[]): readonly string[] => {
  const databases = [...new Set(names.map((name) => new NamespacePattern(name).db))];
  return databases.some(isGlob) ? [""] : databases;
};

/** What a change stream over these is opened on: the one database, or "" for all. */
export const watchedDatabase = ([first = "", ...others]: readonly string[]): string =>
  others.length === 0 ? first : "";

/** Included by one pattern, and excluded by none. */
export class NamespaceFilter {
  readonly include: readonly NamespacePattern[];
  readonly exclude: readonly NamespacePattern[];

  /** @throws FERRY_USAGE where a pattern names no database */
  constructor({ include, exclude }: NamespaceSpec) {
    this.include = (include.length === 0 ? ["*"] : include).map((text) => new NamespacePattern(text));
    this.exclude = exclude.map((text) => new NamespacePattern(text));
  }

  /** Is a namespace meant? */
  has(ns: Namespace): boolean {
    return this.include.some((pattern) => pattern.matches(ns)) && !this.excludes(ns);
  }

  excludes(ns: Namespace): boolean {
    return this.exclude.some((pattern) => pattern.matches(ns));
  }
}
