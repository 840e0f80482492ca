import type { RunRecord } from "#apply/lanes/laneRecords.ts";
import type { RunStore } from "#apply/lanes/runStore.ts";
import { CATALOGUE } from "#base/errors/catalogue.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { Logger } from "#base/observe/log.ts";
import type { RouteTable } from "#route/table/routeTable.ts";
import type { CaptureGuard } from "./captureGuard.ts";

export type HaltsDeps = Readonly<{
  runs: RunStore;
  routes: RouteTable;
  /** Looks at the connectors once more before a halt that came from there is lifted; undefined if that is not possible. */
  guard: CaptureGuard | undefined;
  /** Error codes accepted with --accept while this worker runs. */
  accepted: ReadonlySet<string>;
  logger: Logger;
}>;

type Halt = NonNullable<RunRecord["halted"]>;

/** The halts among a worker's routes. What one route met is no reason to hold the others up; it is when none is left. */
export class Halts {
  readonly #deps: HaltsDeps;
  #known: ReadonlySet<string> = new Set();

  constructor(deps: HaltsDeps) {
    this.#deps = deps;
  }

  /**
   * A halt lasts until a worker is restarted: an operator has fixed the cause or accepted it. What a lane met
   * is met again at the same position; what was found at the connector is looked for once more before anything is applied.
   * @throws the halt's code where it was found at the connector, and could not be looked for
   */
  async review(signal: AbortSignal): Promise<void> {
    const { runs, routes, guard, accepted, logger } = this.#deps;
    for (const [name, { halted }] of await runs.readRuns()) {
      const route = routes.named(name);
      if (halted === undefined || route === undefined) continue;
      const atConnector = CATALOGUE[halted.code].foundAt === "connector";
      const looked = (await guard?.check([route], accepted, signal)) ?? false;
      if (atConnector && !looked && !accepted.has(halted.code)) throw haltedError(name, halted);
      await runs.lift(name);
      logger.warn(
        { route: name, code: halted.code },
        `the halt is lifted, because a worker was started: ${halted.detail}`,
      );
    }
  }

  /** The routes that were halted at the last look. */
  get known(): ReadonlySet<string> {
    return this.#known;
  }

  /** Which active routes are halted, what the last of these halts says, and whether another route is left to work on. */
  async look(): Promise<Readonly<{ halted: ReadonlySet<string>; last: FerryError | undefined; anyLeft: boolean }>> {
    const { runs, routes } = this.#deps;
    const known = await runs.readRuns();
    const halts = routes.all().flatMap(({ route: { name } }) => {
      const halt = known.get(name)?.halted;
      return halt === undefined ? [] : [{ name, halt }];
    });
    const last = halts.at(-1);
    this.#known = new Set(halts.map(({ name }) => name));
    return {
      halted: this.#known,
      last: last && haltedError(last.name, last.halt),
      anyLeft: halts.length < routes.all().length,
    };
  }

  /** After a halt: the worker continues with its other routes. @throws the error where there are none */
  async goOn(error: FerryError): Promise<void> {
    if (!(await this.look()).anyLeft) throw error;
    this.#deps.logger.error({ code: error.code, hint: error.entry.hint }, `a route is halted: ${error.detail}`);
  }
}

const haltedError = (route: string, { code, detail, at }: Halt): FerryError =>
  new FerryError(code, `${route} is halted since ${at.toISOString()}: ${detail}`);
