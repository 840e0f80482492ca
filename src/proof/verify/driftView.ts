import type { Route } from "#base/config/routes.ts";
import { isFerry } from "#base/errors/ferryError.ts";
import { CarriedPaths, rulePath, type TargetPath } from "#route/drift/carriedPaths.ts";
import type { DriftLedger } from "#route/drift/ledger.ts";
import { DriftObserver, type TypeEntry } from "#route/drift/observer.ts";
import { typeByte } from "#route/drift/typeNames.ts";
import { RouteFilter } from "#route/filter/routeFilter.ts";

type Rewrite = (document: Uint8Array) => Uint8Array;

const same: Rewrite = (document) => document;

/** Leaves paths out; unchanged if a rule cannot express one of them: such documents wait in the dead letters. */
const without = (deny: readonly string[]): Rewrite => {
  try {
    const filter = new RouteFilter({ fields: { deny } });
    return (document) => filter.document(document) ?? document;
  } catch (error) {
    if (!isFerry(error, "FERRY_CONFIG")) throw error;
    return same;
  }
};

/** What the ledger and operators' decisions say of a route's documents, as the pipeline has written it down by now. */
export class DriftView {
  readonly #ledger: DriftLedger;
  readonly #route: Route;
  readonly #targetPath: TargetPath;
  readonly #droppers = new Map<string, Rewrite>();
  #observer: DriftObserver;
  #carried: CarriedPaths;
  /** Paths that an operator decided on: documents from before and after the decision differ there. */
  #decided: readonly string[] = [];
  #withoutDecided: Rewrite = same;

  private constructor(ledger: DriftLedger, route: Route, targetPath: TargetPath) {
    this.#ledger = ledger;
    this.#route = route;
    this.#targetPath = targetPath;
    this.#observer = new DriftObserver(route.drift.depth);
    this.#carried = new CarriedPaths([], targetPath, 0);
  }

  /** @throws FERRY_MONGO_* */
  static async open(ledger: DriftLedger, route: Route, targetPath: TargetPath): Promise<DriftView> {
    const view = new DriftView(ledger, route, targetPath);
    await view.learn();
    return view;
  }

  /** Reads the ledger again. @throws FERRY_MONGO_* */
  async learn(): Promise<void> {
    const { name, drift } = this.#route;
    const [records, decisions] = await Promise.all([this.#ledger.read(name), this.#ledger.decisions(name)]);
    const decided = new Set(decisions.map(({ path }) => path));
    const observer = new DriftObserver(drift.depth);
    for (const { path, type, kind, outcome } of records) {
      const byte = typeByte(type);
      if (byte !== undefined) observer.know(path, byte, kind).verdict = decided.has(path) ? "pass" : outcome;
    }
    const paths = [...decided].flatMap((path) => this.#targetPath(rulePath(path)) ?? []).sort();
    if (paths.join() !== this.#decided.join()) this.#withoutDecided = without(paths);
    this.#decided = paths;
    this.#observer = observer;
    this.#carried = new CarriedPaths(observer.carried(), this.#targetPath, drift.depth);
  }

  /** Do documents reach the target as they are, as far as drift goes? */
  get isPlain(): boolean {
    const { newField, typeChange } = this.#route.drift;
    return newField === "pass" && typeChange === "pass" && this.#decided.length === 0;
  }

  /** Is this path, as the target calls it, the source's? */
  carries(path: string): boolean {
    return this.#carried.has(path);
  }

  /** A document of the source without what is left out of it. */
  carried(document: Uint8Array): Uint8Array {
    const dropped = this.#observer.observe(document, 0n, 0).filter(({ verdict }: TypeEntry) => verdict === "drop");
    if (dropped.length === 0) return document;
    const deny = [...new Set(dropped.map(({ path }) => rulePath(path)))].sort();
    const key = deny.join("\0");
    const known = this.#droppers.get(key) ?? without(deny);
    this.#droppers.set(key, known);
    return known(document);
  }

  /** Are two documents of the target equal but for what an operator decided on? */
  alike(one: Uint8Array, other: Uint8Array): boolean {
    return this.#decided.length > 0 && Buffer.compare(this.#withoutDecided(one), this.#withoutDecided(other)) === 0;
  }
}
