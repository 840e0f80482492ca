import type { Route } from "#base/config/routes.ts";
import { isFerry } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import type { NamespaceSpec } from "#base/flow/namespaceFilter.ts";
import { waitFor } from "#base/flow/retry.ts";
import type { Logger } from "#base/observe/log.ts";
import { forgetRoutes, requireIdle } from "#io/state/forgetRoutes.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import type { Failure, StructureEvent } from "#structure/build/build.ts";
import { progressText } from "#structure/build/buildProgress.ts";
import {
  buildStructure,
  finalize,
  planOf,
  requirePossible,
  routeNames,
  type StructureDeps,
} from "./structureOperations.ts";

export type CarriedStructureDeps = Readonly<{
  spec: NamespaceSpec;
  routes: readonly Route[] | undefined;
  clock: Clock;
  logger: Logger;
  hard: AbortSignal;
  leaseMs: number;
}>;

/** Everything but ferry's own database, where neither names nor routes say what is meant. */
const selection = ({ spec, routes }: CarriedStructureDeps, { name }: StateDb): NamespaceSpec => ({
  include: spec.include.length === 0 && routes === undefined ? ["*"] : spec.include,
  exclude: [...spec.exclude, `${name}.*`],
});

const say = (logger: Logger, { ns, does, state, ms = 0, reason, progress }: StructureEvent): void => {
  if (state === "done") logger.info({ stage: "structure", ns, ms }, does);
  else if (state === "progress" && progress !== undefined)
    logger.info({ stage: "structure", ns }, `${does}: ${progressText(progress)}`);
  else if (state === "failed") logger.warn({ stage: "structure", ns, err: reason }, `${does}: refused by the target`);
};

/** The structure of what a capture carries: looked at before anything is noted, built before anything is copied. */
export class CarriedStructure {
  readonly #deps: StructureDeps;
  readonly #leaseMs: number;

  constructor(
    deps: CarriedStructureDeps,
    { source, target, state, journal }: Pick<StructureDeps, "source" | "target" | "state" | "journal">,
  ) {
    const { routes, clock, logger, hard, leaseMs } = deps;
    this.#leaseMs = leaseMs;
    this.#deps = {
      ...{ source, target, state, journal, routes, clock, signal: hard },
      awayMs: 0, // the whole phase runs within throughOutages (io/mongo/outages.ts)
      ...selection(deps, state),
      report: (event) => say(logger, event),
    };
  }

  /** Writes nothing. @param replace as if the target were empty. @throws FERRY_STRUCTURE_REFUSED with every reason */
  async check(replace: boolean): Promise<void> {
    requirePossible(await planOf(this.#deps, { mayLack: true, replace }));
  }

  /**
   * No worker owns what is carried, or the former routes; lanes of a process that died are waited for.
   * @throws FERRY_STRUCTURE_BUSY, FERRY_MONGO_*
   */
  async idle(former: readonly string[]): Promise<void> {
    const { state } = this.#deps;
    const routes = routeNames(this.#deps, await planOf(this.#deps, { mayLack: true, replace: true }));
    await this.#whenIdle(() => requireIdle(state, [...former, ...routes]));
  }

  /**
   * Drops the selected collections on the target, deletes their positions and those of the former routes, and builds them again. Lanes of
   * a process that died are waited for.
   * @throws FERRY_STRUCTURE_BUSY while a worker owns one of them, FERRY_MONGO_*
   */
  async replace(former: readonly string[]): Promise<void> {
    const { state, journal } = this.#deps;
    await this.#whenIdle(async () => {
      await forgetRoutes(state, former);
      await journal.forgetAsked();
      await buildStructure(this.#deps, { mayLack: true, replace: true });
    });
  }

  async #whenIdle(work: () => Promise<unknown>): Promise<void> {
    const { clock, signal } = this.#deps;
    let busy: unknown;
    const attempt = async (): Promise<{ done: true } | { seen: string }> => {
      try {
        await work();
        return { done: true };
      } catch (error) {
        if (!isFerry(error, "FERRY_STRUCTURE_BUSY")) throw error;
        busy = error;
        return { seen: error.detail };
      }
    };
    const patience = { what: "the lanes' leases", clock, timeoutMs: this.#leaseMs * 2 + 1000, signal };
    await waitFor(attempt, patience).catch((error) => {
      throw isFerry(error, "FERRY_TIMEOUT") ? busy : error;
    });
  }

  /**
   * What was built before stays as it is: after a crash this runs again.
   * @param followed the stream begins before it was built
   * @throws FERRY_STRUCTURE_REFUSED, FERRY_MONGO_*
   */
  async build(followed: boolean): Promise<void> {
    await buildStructure(this.#deps, { mayLack: true, followed });
  }

  /**
   * Restores deferred constraints of everything that was ever built here. No more writes may be pending; a process that was
   * killed in it calls it again. @returns what could not be restored @throws the signal's reason, FERRY_MONGO_*
   */
  async finalize(signal: AbortSignal): Promise<readonly Failure[]> {
    return finalize({ ...this.#deps, signal });
  }
}
