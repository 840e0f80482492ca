import type { Timestamp } from "bson";

declare const stateTx: unique symbol;

/**
 * One transaction of the database that ferry remembers with. Opaque: code that gets one passes it on to stores and, where the
 * target lies in the same database, to the sink; what is written with it becomes durable together, or not at all.
 */
export interface StateTx {
  readonly [stateTx]: never;
}

/** Transactions of one lane, one at a time. */
export interface StateSession {
  /**
   * Runs `work` in a transaction: committed where it answers true, given up where it answers false or throws.
   * @param what for the error of a commit
   * @param at reads as of this clusterTime; undefined for the newest
   * @throws what `work` throws; a passing error where the commit's outcome is unknown
   */
  transaction(what: string, work: (tx: StateTx) => Promise<boolean>, at?: Timestamp): Promise<void>;
  /** What is open is given up. */
  end(): Promise<void>;
}
