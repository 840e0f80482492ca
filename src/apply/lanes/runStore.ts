import type { ConflictPolicy } from "#base/config/routes.ts";
import type { FerryError } from "#base/errors/ferryError.ts";
import type { Collection } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { hasServerCode, ServerCode } from "#io/mongo/serverCodes.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import type { Beginning, Rules, RunRecord } from "./laneRecords.ts";
import { readRuns } from "./readLanes.ts";

/** What is noted of each route as a whole: how it began, by which rules, and whether it is halted. Every method throws FERRY_MONGO_*. */
export class RunStore {
  readonly #state: StateDb;
  readonly #runs: Collection<RunRecord>;
  readonly #by: string;

  /** @param by named in the halts that it notes */
  constructor(state: StateDb, by: string) {
    this.#state = state;
    this.#runs = state.collection("runs");
    this.#by = by;
  }

  /** Stops a route's run for every worker, with the named reason, until a restarted worker has checked it. */
  async halt(route: string, error: FerryError): Promise<void> {
    await translated(`halting ${route}`, () =>
      this.#runs.updateOne(
        { _id: route },
        { $set: { halted: { code: error.code, detail: error.detail, at: new Date(), by: this.#by } } },
        { upsert: true },
      ),
    );
  }

  /** Lifts a halt. What caused it is met again where it still is. */
  async lift(route: string): Promise<void> {
    await translated(`lifting the halt of ${route}`, () =>
      this.#runs.updateOne({ _id: route }, { $unset: { halted: "" } }),
    );
  }

  /** Adds to how `_id`s of a route are spelled; answers with all that any of its partitions has seen, as of this write. */
  async noteSpellings(route: string, spellings: readonly string[]): Promise<readonly string[]> {
    const options = { upsert: true, returnDocument: "after", writeConcern: { w: "majority" } } as const;
    const found = await translated(`noting spellings of ${route}`, () =>
      this.#runs.findOneAndUpdate({ _id: route }, { $addToSet: { spellings: { $each: [...spellings] } } }, options),
    );
    return found?.spellings ?? spellings;
  }

  async run(route: string): Promise<RunRecord | undefined> {
    return (await translated(`reading the run of ${route}`, () => this.#runs.findOne({ _id: route }))) ?? undefined;
  }

  /** Notes how a route begins; the first one to say so counts. Answers with what counts. */
  async begin(route: string, begun: Beginning): Promise<Beginning> {
    return translated(`beginning ${route}`, async () => {
      await this.#runs
        .updateOne({ _id: route, begun: { $exists: false } }, { $set: { begun } }, { upsert: true })
        .catch((error: unknown) => {
          if (!hasServerCode(error, ServerCode.DuplicateKey)) throw error; // another worker was faster
        });
      return (await this.#runs.findOne({ _id: route }))?.begun ?? begun;
    });
  }

  /** Notes the rules that documents are applied by from now on. Safe for several partitions concurrently: they note the same. */
  async noteRules(route: string, rules: Rules): Promise<void> {
    await translated(`noting the rules of ${route}`, () =>
      this.#runs.updateOne({ _id: route }, { $set: { rules } }, { upsert: true }),
    );
  }

  /** The documents that were there before the route began are marked with this number; the first one to say so counts. */
  async seeded(route: string, seed: number): Promise<void> {
    await translated(`beginning ${route}`, () =>
      this.#runs.updateOne(
        { _id: route, "begun.seeding": true },
        { $set: { "begun.seeding": false, "begun.seed": seed } },
      ),
    );
  }

  async changePolicy(route: string, policy: ConflictPolicy): Promise<void> {
    await translated(`noting the policy of ${route}`, () =>
      this.#runs.updateOne({ _id: route }, { $set: { "begun.policy": policy } }),
    );
  }

  /** Writes of others were missed: marks are not complete any more. */
  async unsure(route: string): Promise<void> {
    await translated(`noting that ${route} missed writes`, () =>
      this.#runs.updateOne({ _id: route }, { $set: { "begun.unsure": true }, $unset: { watched: "" } }),
    );
  }

  /** Every write of others on the target is marked up to this token. Later ones win. */
  async watched(route: string, token: Readonly<{ _data: string }>): Promise<void> {
    await translated(`noting how far ${route} is watched`, () =>
      this.#runs.updateOne({ _id: route }, { $max: { watched: token } }),
    );
  }

  readRuns(): Promise<ReadonlyMap<string, RunRecord>> {
    return readRuns(this.#state);
  }
}
