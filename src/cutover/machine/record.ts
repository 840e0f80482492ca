import type { Timestamp } from "bson";
import type { FerryError } from "#base/errors/ferryError.ts";
import type { Trouble, Unrestored } from "#source/capture/captureLifecycle.ts";
import type { StoredToken } from "#source/stream/resumeToken.ts";
import type { FenceKind } from "./parts.ts";

/** What is done in a state, and what comes after it, is in cutoverTable.ts. */
export type State =
  | "checking"
  | "approaching"
  | "fencing"
  | "draining"
  | "proving"
  | "restoring"
  | "releasing"
  | "ending"
  | "over"
  | "lifting"
  | "aborted";

/**
 * `ferry.cutovers` on the target, one record a cutover; the newest is the one that counts. Field names are part of the product:
 * operators read them in mongosh.
 */
export type CutoverRecord = {
  /** The n-th on this state database. */
  _id: number;
  state: State;
  fence: FenceKind;
  /** Of the source; empty: everything that is carried. */
  namespaces: string[];
  maxPauseMs: number;
  /** Raised by each process that drives it; a step of a former one is refused. */
  epoch: number;
  owner: string;
  expiresAt: Date;
  /** When each state was entered, by the target's clock. */
  entered: Partial<Record<State, Date>>;
  /** How long each state took, ms, as the process that drove it measured. */
  laps: Partial<Record<State, number>>;
  /** No write that the source accepted before the fence is later. */
  fencedAt?: Timestamp;
  /** Where the target stood before services were sent there; absent where it has no change stream. */
  back?: { token: StoredToken; at: Timestamp };
  /** Why it went back. */
  refused?: Trouble;
  /** What could not be restored on the target. */
  unrestored?: Unrestored[];
};

/** Does it switch over a namespace of the source? */
export const isSwitchedBy = ({ namespaces }: Pick<CutoverRecord, "namespaces">, name: string): boolean =>
  namespaces.length === 0 || namespaces.includes(name);

/** Is it of the same names? */
export const isSameScope = (
  { namespaces = [] }: Readonly<{ namespaces?: readonly string[] }>,
  asked: readonly string[],
): boolean => [...namespaces].sort().join() === [...asked].sort().join();

/** Was it a cutover of this run, and not of one whose place the run has taken? That one begins with services on the source. */
export const isCutoverOf = (
  { entered: { ending } }: Pick<CutoverRecord, "entered">,
  { startedAt }: Readonly<{ startedAt: Date }>,
): boolean => ending !== undefined && ending >= startedAt;

/** A record as it was read. */
export type Seen = Readonly<{
  record: CutoverRecord;
  /** No process drives it now. */
  free: boolean;
  /** Since the fence was begun, by the target's clock, ms; 0 before. */
  pausedMs: number;
}>;

/** What a step has found for the steps after it. */
export type Found = Partial<Pick<CutoverRecord, "fencedAt" | "back" | "unrestored">>;

export type Move = Readonly<{ to: State; lapMs: number; found?: Found; refused?: FerryError }>;

/** Where a cutover is remembered. A step of a process that another one has followed is refused. */
export interface CutoverMemory {
  /** @throws FERRY_CUTOVER_TAKEN; FERRY_CUTOVER_PAUSE where services would be released after the limit */
  move(from: CutoverRecord, move: Move): Promise<CutoverRecord>;
  /** Keeps it, as long as no other process has taken it over. @throws FERRY_CUTOVER_TAKEN */
  renew(record: CutoverRecord): Promise<void>;
  latest(): Promise<Seen | undefined>;
}
