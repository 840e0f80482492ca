import type { Binary, Long } from "bson";

/** One range of `_id`s of one namespace; bounds are raw `{ _id }` documents, so that any type keeps its exact value. */
export type RangeRecord = {
  _id: string;
  /** Under which it was planned: another process may have planned the same start, and lost it. */
  plan?: string;
  topic: string;
  generation: number;
  index: number;
  /** First `_id` of the range; null: from the lowest on. */
  from: Binary | null;
  /** First `_id` that no longer belongs to it; null: to the highest. */
  to: Binary | null;
  /** Read in natural order: it is the whole collection then, and `at` a position in that order. */
  order?: "natural";
  /** The last `_id` that is durable on the target or in the log; null: none yet. */
  at: Binary | null;
  /** Documents that it had when it was planned, about; absent in records of an earlier version. */
  estimate?: number;
  /** Those that are copied. */
  documents: Long;
  done: boolean;
};

export const rangeId = (topic: string, generation: number, index: number): string => `${topic}/${generation}/${index}`;

/** Null: of an earlier version, without a plan. */
export const ofPlans = (plans: readonly (string | null)[]): { plan: { $in: string[] } } => ({
  plan: { $in: plans as string[] },
});

/** Where the copy notes how far it is. */
export interface RangeStore {
  /** Moves ranges on: `at` is durable downstream. @throws FERRY_MONGO_* */
  advance(ranges: readonly Pick<RangeRecord, "_id" | "at" | "documents" | "done">[]): Promise<void>;
}
