import { MANY_NAMES } from "./observer.ts";

/** A path as rules spell it. */
export const rulePath = (path: string): string => path.replaceAll("[]", "");

/** How a route calls a path of the source on the target; undefined where it leaves it out. */
export type TargetPath = (path: string) => string | undefined;

/** Which paths, as the target calls them, a route carries in some document: these are the source's in every document. */
export class CarriedPaths {
  readonly #paths: ReadonlySet<string>;
  readonly #depth: number;

  /**
   * @param seen paths as the ledger has them, of what was let through
   * @param depth levels of nesting that the ledger looks at; what lies deeper is the source's
   */
  constructor(seen: Iterable<string>, targetPath: TargetPath, depth: number) {
    this.#paths = new Set([...seen].flatMap((path) => targetPath(rulePath(path)) ?? []));
    this.#depth = depth;
  }

  has(path: string): boolean {
    if (this.#paths.has(path) || path.split(".").length > this.#depth) return true;
    return this.#paths.has(path.replace(/[^.]*$/, MANY_NAMES)); // a map with keys of its own is the source's whole
  }
}
