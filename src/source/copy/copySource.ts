import type { MongoClient, ReadPreferenceMode } from "#io/mongo/connect.ts";

/** How much of the time the copy may ask the source. */
export interface CopyPace {
  readonly state: Readonly<{ share: number; latencyMs: number | null; limitMs: number }>;
  /** How long a reader rests after the source worked for it for `ms`, ms. */
  restAfter(ms: number): number;
}

/** Where the copy reads; the change stream and whatever finds a range's bounds stay with the primary. */
export interface CopySource {
  readonly readPreference: ReadPreferenceMode;
  readonly pace: CopyPace | undefined;
  /** A client for one cursor: asked again whenever one is opened, since a member may have gone. @throws FERRY_MONGO_* */
  client(): Promise<MongoClient>;
  /** Gives a reply back when it is there, and says so where a member keeps the copy waiting for it. */
  answer<T>(reply: Promise<T>): Promise<T>;
}
