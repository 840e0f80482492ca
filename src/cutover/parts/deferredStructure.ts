import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { parseNamespace } from "#base/flow/types.ts";
import type { Deferred } from "#cutover/machine/parts.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { restoreNeeds } from "#io/mongo/needs.ts";
import { lackedPrivilege } from "#io/mongo/privileges.ts";
import type { Unrestored } from "#source/capture/captureLifecycle.ts";
import { type FinalizeDeps, finalizeStructure } from "#structure/build/finalize.ts";
import { deferAgain, restoreCheap } from "#structure/build/restoreCheap.ts";
import type { StructureRecord } from "#structure/model/structureRecords.ts";
import type { StructureStore } from "#structure/plan/structureStore.ts";

export type DeferredDeps = Readonly<{
  source: MongoClient;
  target: MongoClient;
  journal: StructureStore;
  /** Is a namespace of the source switched over? */
  has: (ns: string) => boolean;
  /** Error codes accepted with --accept. */
  accepted: readonly string[];
  clock: Clock;
}>;

/** What the structure's journal says is deferred, of the namespaces that are switched over. */
export class DeferredStructure implements Deferred {
  readonly #deps: DeferredDeps;

  constructor(deps: DeferredDeps) {
    this.#deps = deps;
  }

  /** An index that is not there yet would be built while services wait for it, or without them. */
  async unready(): Promise<readonly FerryError[]> {
    const records = await this.#records();
    const dbs = [
      ...new Set(records.flatMap(({ _id: { ns }, held }) => (held.length > 0 ? [parseNamespace(ns).db] : []))),
    ];
    const lacked = await lackedPrivilege("target", this.#deps.target, dbs.flatMap(restoreNeeds));
    return [...(lacked === undefined ? [] : [lacked]), ...this.#unbuilt(records)];
  }

  #unbuilt(records: readonly StructureRecord[]): readonly FerryError[] {
    const unbuilt = records.filter(({ state }) => state === "planned" || state === "failed");
    if (unbuilt.length === 0 || this.#deps.accepted.includes("FERRY_STRUCTURE_INCOMPLETE")) return [];
    const names = unbuilt.map(
      ({ _id: { ns, index }, reason }) => `${ns} ${index}`.trim() + (reason ? `: ${reason}` : ""),
    );
    return [new FerryError("FERRY_STRUCTURE_INCOMPLETE", names.slice(0, 5).join("; "))];
  }

  /** The source's own collection is capped: lanes that carry back cannot write to it. */
  async obstaclesBack(): Promise<readonly string[]> {
    const capped = (await this.#records()).filter(({ held }) => held.includes("capped"));
    return capped.map(({ from }) => `${from}: it is capped, and MongoDB takes no capped collection in a transaction`);
  }

  async restoreCheap(signal: AbortSignal): Promise<void> {
    await restoreCheap(this.#wiring(signal), await this.#records());
  }

  async deferAgain(): Promise<void> {
    await deferAgain(this.#wiring(new AbortController().signal), await this.#records());
  }

  /** What takes long, when services no longer wait. @returns what the target refuses */
  async restoreRest(signal: AbortSignal): Promise<readonly Unrestored[]> {
    const failures = await finalizeStructure(this.#wiring(signal), await this.#records());
    return failures.map(({ ns, index, reason }) => ({ ns, index, reason }));
  }

  async #records(): Promise<readonly StructureRecord[]> {
    return (await this.#deps.journal.all()).filter(({ from }) => this.#deps.has(from));
  }

  #wiring(signal: AbortSignal): FinalizeDeps {
    const { source, target, journal: store, clock } = this.#deps;
    return { source, target, store, clock, signal, report: () => undefined, awayMs: 0 };
  }
}
