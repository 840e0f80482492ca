import { FerryError } from "#base/errors/ferryError.ts";
import { NamespaceFilter, type NamespaceSpec } from "#base/flow/namespaceFilter.ts";
import { formatNamespace, type Namespace, parseNamespace } from "#base/flow/types.ts";
import type { CollectionSpec } from "./model.ts";
import type { ReadScope } from "./read.ts";

/** What a route's field rules do to the paths of its documents. */
export type FieldMap = Readonly<{
  /** The path on the target; undefined where it stays out. */
  path: (path: string) => string | undefined;
  /** Values become text: `distinct` where different ones stay different, `alike` where they may become the same. */
  masked: (path: string) => "distinct" | "alike" | undefined;
}>;

/** One carried namespace, as `ferry.yaml` routes it. */
export type RoutedNamespace = Readonly<{
  from: string;
  to: string;
  fields: FieldMap | undefined;
  /** A row filter leaves documents out. */
  chosen?: boolean;
  /** The row filter compares text, byte by byte. */
  byText?: boolean;
}>;

/** Nothing included: all that the routes name. */
export type SelectionOptions = NamespaceSpec &
  Readonly<{
    /** Undefined: every namespace keeps its name. */
    routes: readonly RoutedNamespace[] | undefined;
  }>;

export type RoutedTarget = Readonly<{ ns: Namespace } & Pick<RoutedNamespace, "fields" | "chosen" | "byText">>;

/** Which namespaces of the source are meant, and what they are called on the target. */
export class Selection {
  readonly scope: ReadScope;
  readonly #routes: ReadonlyMap<string, readonly RoutedTarget[]> | undefined;
  readonly #filter: NamespaceFilter;
  readonly #options: SelectionOptions;

  /** @throws FERRY_USAGE where neither routes nor globs say what is meant */
  constructor(options: SelectionOptions) {
    const { routes, include } = options;
    if (routes === undefined && include.length === 0)
      throw new FerryError(
        "FERRY_USAGE",
        "select something: --include 'shop.*', --include '*', or routes in ferry.yaml",
      );
    this.#options = options;
    this.#filter = new NamespaceFilter(options);
    this.#routes = routes === undefined ? undefined : grouped(routes);
    const databases =
      routes === undefined ? undefined : [...new Set(routes.map(({ from }) => parseNamespace(from).db))];
    // With routes, the databases' other collections are not carried, but their views may belong to carried ones.
    this.scope = { databases, includes: (ns) => this.#filter.has(ns) };
  }

  /** What a collection is called on the target; several routes may carry it, or none. */
  destinations(ns: Namespace): readonly RoutedTarget[] {
    if (!this.#filter.has(ns)) return [];
    return this.#routes === undefined ? [{ ns, fields: undefined }] : (this.#routes.get(formatNamespace(ns)) ?? []);
  }

  /** Is a namespace of the source within the selection? */
  includes(from: string): boolean {
    const { databases } = this.scope;
    const ns = parseNamespace(from);
    return this.#filter.has(ns) && (databases === undefined || databases.includes(ns.db));
  }

  /** Do routes rename what is carried? */
  get routed(): boolean {
    return this.#routes !== undefined;
  }

  /**
   * Every route and every glob must mean something.
   * @param elsewhere what routes carry to targets without structure
   * @throws FERRY_STRUCTURE_SELECTION naming what does not exist
   */
  requireFound(source: readonly CollectionSpec[], elsewhere: readonly Namespace[] = []): void {
    const names = source.map(({ ns }) => formatNamespace(ns));
    const { routes = [], include } = this.#options;
    const asked = include.length === 0 ? [] : this.#filter.include;
    const known = [...source.map(({ ns }) => ns), ...elsewhere];
    const idle = asked.filter((pattern) => !known.some((ns) => pattern.matches(ns)));
    const named = routes.map(({ from }) => from).filter((from) => this.#filter.has(parseNamespace(from)));
    const missing = [...idle.map(({ text }) => text), ...named.filter((from) => !names.includes(from))];
    if (missing.length > 0)
      throw new FerryError("FERRY_STRUCTURE_SELECTION", `the source has nothing with the name ${missing.join(", ")}`);
  }
}

const grouped = (routes: readonly RoutedNamespace[]): ReadonlyMap<string, readonly RoutedTarget[]> => {
  const map = new Map<string, RoutedTarget[]>();
  for (const { from, to, fields, chosen = false, byText = false } of routes) {
    const destinations = map.get(from) ?? [];
    destinations.push({ ns: parseNamespace(to), fields, chosen, byText });
    map.set(from, destinations);
  }
  return map;
};
