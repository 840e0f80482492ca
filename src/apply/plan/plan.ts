import { identityOf } from "#base/bson/identity.ts";
import type {
  ChangeEvent,
  Counts,
  DdlEvent,
  DeleteEvent,
  DocumentEvent,
  FilteredBy,
  NoopEvent,
  PatchEvent,
  TargetOp,
  WriteEvent,
} from "#base/flow/types.ts";
import { type DeadReason, type Entry, keyOf } from "./entry.ts";
import { planPatch } from "./patch.ts";

/** An entry that is set aside, with its reason. */
export type DeadEntry = Readonly<{ entry: Entry; reason: DeadReason }>;

/** What one batch of a lane does to the target, and what it adds to the lane's books. */
export type BatchPlan = Readonly<{
  ops: readonly TargetOp[];
  dead: readonly DeadEntry[];
  counts: Counts;
  filteredBy: FilteredBy;
  at: bigint;
  logTimeMs: number;
}>;

/**
 * How whole documents are written:
 * - `insert`: those that the source calls new are inserted, four times cheaper for the target than upserts;
 * - `replace`: over what is there;
 * - `recreate`: after what is there is deleted, since another spelling of the `_id` cannot be replaced.
 */
export type Writes = "insert" | "replace" | "recreate";

export type BatchPlanOptions = Readonly<{
  writes: Writes;
  /** Is this key waiting in the dead letters? Then its later events follow, so that a replay keeps their order. */
  isHeld: (key: Uint8Array) => boolean;
  /** Under which identity a key waits, where the target holds more to be one than `identityOf` does. */
  identify?: ((key: Uint8Array) => string) | undefined;
}>;

/** What is left of one key's events: the last whole state, then the deltas after it. */
type Slot = {
  base: WriteEvent | DeleteEvent | undefined;
  startsFresh: boolean;
  patches: { entry: Entry; event: PatchEvent }[];
};

/** A copied event makes its key when it is asked for it: where nothing changes, the event is the operation. */
const addWrite = (ops: TargetOp[], event: WriteEvent, writes: Writes): void => {
  const fresh = writes !== "replace";
  if (writes === "recreate") ops.push({ op: "delete", key: event.key });
  ops.push(event.fresh === fresh ? event : { op: "write", key: event.key, doc: event.doc, fresh });
};

/** @returns how many events of the key no longer count */
const supersede = (slot: Slot, event: WriteEvent | DeleteEvent): number => {
  const former = (slot.base === undefined ? 0 : 1) + slot.patches.length;
  slot.base = event;
  slot.patches = [];
  return former;
};

/** @returns how many earlier events it supersedes */
const fold = (slots: Map<string, Slot>, entry: Entry, event: DocumentEvent): number => {
  const identity = identityOf(event.key);
  let slot = slots.get(identity);
  if (slot === undefined) {
    slot = { base: undefined, startsFresh: event.op === "write" && event.fresh, patches: [] };
    slots.set(identity, slot);
  }
  if (event.op !== "patch") return supersede(slot, event);
  slot.patches.push({ entry, event });
  return 0;
};

type Effect = Readonly<{ applied: number; dead: readonly DeadEntry[] }>;

/** Adds a slot's operations. From the first delta that cannot be applied on, the key's deltas are set aside. */
const emit = (ops: TargetOp[], slot: Slot, writes: Writes): Effect => {
  const changes: Uint8Array[] = [];
  const { base, patches } = slot;
  let dead: DeadEntry[] = [];
  // A delete followed by deltas only: nothing is there for the deltas to change.
  for (const [index, { event }] of base?.op === "delete" ? [] : patches.entries()) {
    const plan = planPatch(event.update);
    if ("unclear" in plan) {
      dead = patches.slice(index).map(({ entry }, i) => ({ entry, reason: i === 0 ? unclear(plan.unclear) : BEHIND }));
      break;
    }
    changes.push(...plan.changes);
  }
  if (base?.op === "delete") ops.push(base);
  const replaces = writes === "insert" && !(slot.startsFresh && changes.length === 0);
  if (base?.op === "write") addWrite(ops, base, replaces ? "replace" : writes);
  const [patch] = patches;
  if (changes.length > 0 && patch !== undefined) ops.push({ op: "patch", key: patch.event.key, changes });
  return { applied: (base === undefined ? 0 : 1) + patches.length - dead.length, dead };
};

const filterReason = (event: NoopEvent | DdlEvent | undefined): string => {
  if (event === undefined) return "no-event";
  return event.op === "noop" ? event.reason : event.kind;
};

const isCopy = (event: ChangeEvent | undefined): event is WriteEvent =>
  event?.op === "write" && event.origin === "copy";

/** Why an entry is set aside: for a reason of its own, or behind an earlier event of its key, here or in the dead letters. */
const asideTest = (
  isHeld: BatchPlanOptions["isHeld"],
  identify: (key: Uint8Array) => string,
): ((entry: Entry) => DeadReason | undefined) => {
  const behind = new Set<string>();
  return (entry) => {
    // A document has its `_id` in it, and many copied ones have no key of their own yet.
    const key = entry.event?.op === "write" ? entry.event.doc : keyOf(entry);
    if (entry.dead !== undefined) {
      if (key !== undefined) behind.add(identify(key));
      return entry.dead;
    }
    if (key === undefined) return undefined;
    return isHeld(key) || (behind.size > 0 && behind.has(identify(key))) ? BEHIND : undefined;
  };
};

/**
 * Plans one batch of a lane: several events of one key become the last one; records that hold no event, and events behind a
 * dead letter, are set aside. Pure; entries are in log order.
 */
export const planBatch = (
  entries: readonly Entry[],
  { writes, isHeld, identify = identityOf }: BatchPlanOptions,
): BatchPlan => {
  const ops: TargetOp[] = [];
  const dead: DeadEntry[] = [];
  const slots = new Map<string, Slot>();
  const filteredBy: Record<string, number> = {};
  let [applied, superseded, filtered, at] = [0, 0, 0, 0n];
  // The copy sends each key once: no need to look for later events of the same key.
  const onlyCopy = entries.every((entry) => isCopy(entry.event));
  const aside = asideTest(isHeld, identify);
  for (const entry of entries) {
    const { event } = entry;
    if (event !== undefined && event.at > at) at = event.at;
    const reason = aside(entry);
    if (reason !== undefined) dead.push({ entry, reason });
    else if (event === undefined || event.op === "noop" || event.op === "ddl") {
      const reason = filterReason(event);
      filteredBy[reason] = (filteredBy[reason] ?? 0) + 1;
      filtered++;
    } else if (onlyCopy && isCopy(event)) {
      addWrite(ops, event, writes);
      applied++;
    } else superseded += fold(slots, entry, event);
  }
  for (const slot of slots.values()) {
    const effect = emit(ops, slot, writes);
    applied += effect.applied;
    dead.push(...effect.dead);
  }
  const counts = { received: entries.length, applied, superseded, filtered, dead: dead.length };
  return { ops, dead, counts, filteredBy, at, logTimeMs: entries.at(-1)?.record.timestampMs ?? 0 };
};

const BEHIND: DeadReason = {
  code: "FERRY_APPLY_BEHIND",
  detail: "an earlier event of the same key waits in the dead letters",
};

const unclear = (detail: string): DeadReason => ({ code: "FERRY_APPLY_DELTA", detail });
