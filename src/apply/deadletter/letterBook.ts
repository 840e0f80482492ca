import type { StateTx } from "#base/flow/stateTx.ts";
import type { DeadLetter, DeadLetterRecord, Why } from "./letterRecords.ts";

/** The dead letters of a partition, as its owner works with them. */
export interface LetterBook {
  /** Stores letters. */
  add(letters: readonly DeadLetter[], tx: StateTx | undefined): Promise<void>;
  /** Which of these are stored already, of the same records: a drop sets partitions back, and they are read once more. */
  known(letters: readonly DeadLetter[]): Promise<ReadonlySet<DeadLetter>>;
  /** Removes a letter. False where it was gone already. */
  remove(id: string, tx: StateTx | undefined): Promise<boolean>;
  /** A try failed: the letter waits again, with what it met this time. A decision that came during the try stands. */
  again(letter: DeadLetterRecord, why: Why): Promise<void>;
  /**
   * Identities that wait, each with a raw documentKey that goes under it, of one partition (its keys may be spread over other
   * lanes by now): later events must follow them.
   */
  held(route: string, partition: number): Promise<Map<string, Uint8Array>>;
  /** Letters of one partition that are to be carried out: decided on, or tried again by the clock. Without their raw values. */
  due(route: string, partition: number): Promise<readonly DeadLetterRecord[]>;
  /** The letters of one key, in order; the first one is what the others wait for. */
  queue(route: string, partition: number, identity: string): Promise<readonly DeadLetterRecord[]>;
  /** The record's value as it was on the topic. */
  raw(id: string): Promise<Uint8Array | null>;
}
