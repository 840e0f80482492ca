import type { Entry } from "#apply/plan/entry.ts";
import { type Plan, planBatch, type Writes } from "#apply/plan/plan.ts";
import type { FerryError } from "#base/errors/ferryError.ts";
import type { DriftGate } from "./driftGate.ts";
import type { Lookup } from "./lookup.ts";
import type { Shape } from "./shape.ts";
import type { Identify } from "./targetCollation.ts";

export type LanePlannerDeps = Readonly<{
  /** Completes one event when its delta was refused; undefined where no source is given. */
  rescue: Lookup | undefined;
  /** Looks at each document's shape; undefined keeps no ledger. */
  drift: DriftGate | undefined;
  /** The route's filter; undefined leaves documents as they lie. */
  shape: Shape | undefined;
}>;

type IsHeld = (key: Uint8Array) => boolean;

/** Makes of a lane's entries what is to be written: policy, filter, and the plan with what the source must complete. */
export class LanePlanner {
  readonly #deps: LanePlannerDeps;

  constructor(deps: LanePlannerDeps) {
    this.#deps = deps;
  }

  /** What drift policy and filter make of entries that have their documents; `before`: as they were when the reader saw them. */
  async shaped(entries: readonly Entry[], before: readonly Entry[]): Promise<readonly Entry[]> {
    const { drift } = this.#deps;
    if (drift !== undefined) for (const [i, entry] of entries.entries()) if (entry !== before[i]) drift.see(entry); // looked up since
    return this.passed(entries);
  }

  /** The same for entries that were seen before. */
  async passed(entries: readonly Entry[]): Promise<readonly Entry[]> {
    const { shape, drift } = this.#deps;
    const passed = drift === undefined ? entries : await drift.pass(entries);
    return shape === undefined ? passed : passed.map(shape);
  }

  /** Deltas that cannot be said with modifiers are completed from the source, where there is one. */
  async plan(entries: readonly Entry[], writes: Writes, isHeld: IsHeld, identify?: Identify): Promise<Plan> {
    const plan = planBatch(entries, { writes, isHeld, identify });
    const { rescue } = this.#deps;
    const unclear = plan.dead.filter(({ reason }) => reason.code === "FERRY_APPLY_DELTA").map(({ entry }) => entry);
    if (rescue === undefined || unclear.length === 0) return plan;
    const { completed, taken } = await rescue.complete(
      unclear.map((entry) => ({ ...entry, dead: undefined })),
      0,
    );
    const whole = await this.shaped(completed, []);
    const better = new Map(unclear.slice(0, taken).map((entry, i) => [entry, whole[i] ?? entry]));
    return this.plan(
      entries.map((entry) => better.get(entry) ?? entry),
      writes,
      isHeld,
      identify,
    );
  }

  /** The copied document that met its `_id`, if it was a copied one: a streamed insert over a copy is everyday life. */
  copied(entries: readonly Entry[], collision: FerryError, isHeld: IsHeld): Entry | undefined {
    const doc = planBatch(entries, { writes: "insert", isHeld }).ops.inserts[Number(collision.facts["index"])];
    return entries.find(({ event }) => event?.op === "write" && event.doc === doc && event.origin === "copy");
  }
}
