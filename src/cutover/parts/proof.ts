import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { type LookDeps, missingOnTarget, writesBehind } from "#cutover/ending/lastLook.ts";
import { readRun } from "#cutover/ending/runWatch.ts";
import type { Proof, SourceTime } from "#cutover/machine/parts.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { VerificationStore } from "#proof/verify/verificationStore.ts";
import { routesOn } from "#route/table/routesOn.ts";
import type { RunControl } from "#source/capture/captureLifecycle.ts";

export type ProofDeps = LookDeps &
  Readonly<{
    source: MongoClient;
    control: RunControl;
    /** Namespaces that are switched over; empty: everything that is carried. */
    named: readonly string[];
    clock: Clock;
  }>;

/** What `ferry verify` has found, dead letters, and whether the source was written to behind the fence. */
export class VerifiedProof implements Proof {
  readonly #deps: ProofDeps;

  constructor(deps: ProofDeps) {
    this.#deps = deps;
  }

  async unready(): Promise<readonly FerryError[]> {
    const { accepted } = this.#deps;
    return [await this.#unverified(), await this.#wrong()].filter(
      (error) => error !== undefined && !accepted.has(error.code),
    ) as FerryError[];
  }

  async approach(): Promise<void> {
    // `ferry verify` proves it, in a process of its own
  }

  async missing(at: SourceTime, signal: AbortSignal): Promise<FerryError | undefined> {
    const { source, control, named, state } = this.#deps;
    const { record } = await readRun(control);
    const known = await missingOnTarget(this.#deps, record);
    if (known !== undefined) return known;
    const scope = named.length === 0 ? record.scope : { include: [...named], exclude: [] };
    return writesBehind(source, { scope, token: record.token }, { state, at, signal });
  }

  async #routes(): Promise<readonly string[]> {
    const { control, named, routes } = this.#deps;
    const { record } = await readRun(control);
    return record.topics
      .filter(({ name, next }) => Number(next) > 0 && (named.length === 0 || named.includes(name)))
      .flatMap(({ name }) => routesOn(routes, name))
      .map(({ name }) => name);
  }

  async #unverified(): Promise<FerryError | undefined> {
    const store = new VerificationStore(this.#deps.state);
    const open: string[] = [];
    for (const route of await this.#routes()) if ((await store.read(route))?.finishedAt === undefined) open.push(route);
    return open.length === 0
      ? undefined
      : new FerryError("FERRY_CUTOVER_UNVERIFIED", `never verified to the end: ${open.join(", ")}`);
  }

  async #wrong(): Promise<FerryError | undefined> {
    const store = new VerificationStore(this.#deps.state);
    let total = 0;
    for (const route of await this.#routes()) total += (await store.wrong(route, 0)).total;
    return total === 0 ? undefined : new FerryError("FERRY_VERIFY_WRONG", `${total} documents`);
  }
}
