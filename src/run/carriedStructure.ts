import type { ScopeSpec } from "#capture/scope.ts";
import type { Route } from "#config/routes.ts";
import type { Clock } from "#flow/clock.ts";
import type { MongoClient } from "#mongo/connect.ts";
import type { Logger } from "#observe/log.ts";
import type { StructureEvent } from "#structure/build.ts";
import { buildStructure, planOf, requirePossible, type StructureDeps } from "./structure.ts";

export type CarriedDeps = Readonly<{
  spec: ScopeSpec;
  routes: readonly Route[] | undefined;
  settings: Readonly<{ stateDb: string }>;
  clock: Clock;
  logger: Logger;
  hard: AbortSignal;
}>;

/** Everything but ferry's own database, where neither names nor routes say what is meant. */
const selection = ({ spec, routes, settings }: CarriedDeps): Pick<StructureDeps, "include" | "exclude"> => ({
  include: spec.include.length === 0 && routes === undefined ? ["*"] : spec.include,
  exclude: [...spec.exclude, `${settings.stateDb}.*`],
});

const say = (logger: Logger, { ns, does, state, ms = 0, reason }: StructureEvent): void => {
  if (state === "done") logger.info({ stage: "structure", ns, ms }, does);
  else if (state === "failed") logger.warn({ stage: "structure", ns, err: reason }, `${does}: refused by the target`);
};

/** The structure of what a capture carries: looked at before anything is noted, built before anything is copied. */
export class CarriedStructure {
  readonly #deps: StructureDeps;

  constructor(deps: CarriedDeps, source: MongoClient, target: MongoClient) {
    const { routes, settings, clock, logger, hard } = deps;
    this.#deps = {
      ...{ source, target, routes, clock, signal: hard, stateDb: settings.stateDb },
      ...selection(deps),
      report: (event) => say(logger, event),
    };
  }

  /** Writes nothing. @throws FERRY_STRUCTURE_REFUSED with every reason */
  async check(): Promise<void> {
    requirePossible(await planOf(this.#deps, { mayLack: true }));
  }

  /** What was built before is left as it is: whoever was killed comes here again. @throws FERRY_STRUCTURE_REFUSED, FERRY_MONGO_* */
  async build(): Promise<void> {
    await buildStructure(this.#deps, { mayLack: true });
  }
}
