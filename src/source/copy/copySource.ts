import type { MongoClient, ReadPreferenceMode } from "#io/mongo/connect.ts";

/** How much of the time the copy may ask the source. */
export interface CopyPace {
  /** Undefined where only its rate is limited. */
  readonly state: Readonly<{ share: number; latencyMs: number | null; limitMs: number }> | undefined;
  /** Aborts when it holds no more: a reader that rests looks again. */
  readonly changed: AbortSignal;
  /** How long a reader rests after the source worked for it for `ms`, ms, and it has so many documents. */
  restAfter(ms: number, documents: number): number;
}

/** Where the copy reads; the change stream and whatever finds a range's bounds stay with the primary. */
export interface CopySource {
  readonly readPreference: ReadPreferenceMode;
  /** Asked again and again, since an operator changes it; undefined while nothing is limited. */
  readonly pace: CopyPace | undefined;
  /** A client for one cursor: asked again whenever one is opened, since a member may have gone. @throws FERRY_MONGO_* */
  client(): Promise<MongoClient>;
  /** Gives a reply back when it is there, and says so where a member keeps the copy waiting for it. */
  answer<T>(reply: Promise<T>): Promise<T>;
}
