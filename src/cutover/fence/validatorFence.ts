import type { Timestamp } from "bson";
import { FerryError } from "#base/errors/ferryError.ts";
import { seriesOf } from "#base/flow/buckets.ts";
import { formatNamespace, type Namespace } from "#base/flow/types.ts";
import type { Fence, FenceDeps, SourceTime } from "#cutover/machine/parts.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { validatorNeeds } from "#io/mongo/needs.ts";
import { lackedPrivilege } from "#io/mongo/privileges.ts";
import { hasServerCode, ServerCode } from "#io/mongo/serverCodes.ts";
import { clusterTime } from "#source/stream/sourceProbe.ts";
import type { Options } from "#structure/model/options.ts";
import { rawOptionsOf } from "#structure/model/read.ts";
import { fencedValidation, fencing, lifting } from "#structure/model/writeFence.ts";

/** Validation of a collection that is fenced; undefined where it is not. */
const formerValidation = async (source: MongoClient, ns: Namespace): Promise<Options | undefined> => {
  const options = await rawOptionsOf(source, ns);
  return options && fencedValidation(options);
};

/** Which of these collections a cutover has put its validator on. @throws FERRY_MONGO_* */
export const fencedAmong = async (
  source: MongoClient,
  namespaces: readonly Namespace[],
): Promise<readonly string[]> => {
  const up: string[] = [];
  for (const ns of namespaces) if ((await formerValidation(source, ns)) !== undefined) up.push(formatNamespace(ns));
  return up;
};

/**
 * A validator that no document passes, on each collection that is switched over: the others continue. It stops inserts and updates,
 * not deletes, and not writes that bypass validation; the last look at the source finds both.
 */
export class ValidatorFence implements Fence {
  readonly kind = "validator";
  readonly #deps: FenceDeps;

  constructor(deps: FenceDeps) {
    this.#deps = deps;
  }

  async unready(): Promise<readonly FerryError[]> {
    const { source } = this.#deps;
    const namespaces = await this.#deps.namespaces();
    const series = namespaces.filter((ns) => seriesOf(ns) !== undefined).map(formatNamespace);
    if (series.length > 0)
      return [new FerryError("FERRY_CUTOVER_FENCE", `a time series takes no validator: ${series.join(", ")}`)];
    const needs = [...new Set(namespaces.map(({ db }) => db))].flatMap(validatorNeeds);
    const lacked = await lackedPrivilege("source", source, needs);
    if (lacked !== undefined) return [lacked];
    const up = await fencedAmong(source, namespaces);
    return up.length === 0
      ? []
      : [new FerryError("FERRY_CUTOVER_FENCED", `an earlier cutover left its validator on ${up.join(", ")}`)];
  }

  async raise(leftMs: number, signal: AbortSignal): Promise<SourceTime> {
    const { source } = this.#deps;
    const until = Date.now() + leftMs;
    const over = await Promise.all(
      (await this.#deps.namespaces()).map(async (ns) => {
        const options = await rawOptionsOf(source, ns);
        signal.throwIfAborted();
        // Twice, it would stand in for itself.
        if (options === undefined || fencedValidation(options) !== undefined) return 0n;
        return this.#modify(ns, fencing(options), Math.max(1, until - Date.now()));
      }),
    );
    const now = (await clusterTime(source)).toBigInt();
    return over.reduce((latest, at) => (at > latest ? at : latest), now);
  }

  async lift(): Promise<void> {
    for (const ns of await this.#deps.namespaces()) {
      const former = await formerValidation(this.#deps.source, ns);
      if (former !== undefined) await this.#modify(ns, lifting(former));
    }
  }

  async #modify({ db, coll }: Namespace, change: Options, maxTimeMS?: number): Promise<SourceTime> {
    const command = {
      collMod: coll,
      ...change,
      ...(maxTimeMS === undefined ? {} : { maxTimeMS: Math.floor(maxTimeMS) }),
    };
    try {
      const reply = await translated(`changing the validator of ${db}.${coll}`, () =>
        this.#deps.source.db(db).command(command),
      );
      return (reply["operationTime"] as Timestamp).toBigInt();
    } catch (error) {
      if (hasServerCode(error, ServerCode.NamespaceNotFound)) return 0n; // dropped meanwhile
      throw error;
    }
  }
}
