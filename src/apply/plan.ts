import { identityOf } from "#bson/identity.ts";
import type { ChangeEvent, Counts, DeleteEvent, PatchEvent, WriteEvent, WriteOps } from "#flow/types.ts";
import type { DeadReason, Entry } from "./entry.ts";
import { planPatch } from "./patch.ts";
import { deleteStatement, modifyStatement, oddity, replaceStatement } from "./statements.ts";

/** An entry that is set aside, with its reason. */
export type DeadEntry = Readonly<{ entry: Entry; reason: DeadReason }>;

/** What one batch of a lane does to the target, and what it adds to the lane's books. */
export type Plan = Readonly<{
  ops: WriteOps;
  dead: readonly DeadEntry[];
  counts: Counts;
  at: bigint;
  logTimeMs: number;
}>;

export type PlanOptions = Readonly<{
  /** Try documents that the source calls new as inserts: four times cheaper for the target than upserts. */
  insertFirst: boolean;
  /** Is this key waiting in the dead letters? Then its later events follow, so that a replay keeps their order. */
  isHeld: (key: Uint8Array) => boolean;
}>;

type Mutable = { inserts: Uint8Array[]; updates: Uint8Array[]; deletes: Uint8Array[] };
type Change = WriteEvent | PatchEvent | DeleteEvent;

/** What is left of one key's events: the last whole state, then the deltas after it. */
type Slot = {
  base: WriteEvent | DeleteEvent | undefined;
  startsFresh: boolean;
  patches: PatchEvent[];
  entries: Entry[];
};

const addWrite = (ops: Mutable, event: WriteEvent, asInsert: boolean): void => {
  if (asInsert && oddity(event.doc) !== "timestamp") ops.inserts.push(event.doc);
  else ops.updates.push(replaceStatement(event.key, event.doc));
};

const supersede = (slot: Slot, event: WriteEvent | DeleteEvent): void => {
  slot.base = event;
  slot.patches = [];
};

const fold = (slots: Map<string, Slot>, entry: Entry, event: Change): void => {
  const identity = identityOf(event.key);
  let slot = slots.get(identity);
  if (slot === undefined) {
    slot = { base: undefined, startsFresh: event.op === "write" && event.fresh, patches: [], entries: [] };
    slots.set(identity, slot);
  }
  slot.entries.push(entry);
  if (event.op === "patch") slot.patches.push(event);
  else supersede(slot, event);
};

/** Writes a slot's operations; how many of its events took effect, or why its deltas cannot be applied. */
const emit = (ops: Mutable, slot: Slot, insertFirst: boolean): number | string => {
  const statements: Uint8Array[] = [];
  for (const patch of slot.patches) {
    const plan = planPatch(patch.update);
    if ("unclear" in plan) return plan.unclear;
    for (const modifiers of plan.modifiers) statements.push(modifyStatement(patch.key, modifiers));
  }
  const { base } = slot;
  if (base?.op === "delete") ops.deletes.push(deleteStatement(base.key));
  if (base?.op === "write") addWrite(ops, base, insertFirst && slot.startsFresh && statements.length === 0);
  // A delete followed by deltas only: nothing is there for the deltas to change.
  if (base?.op !== "delete") ops.updates.push(...statements);
  return (base === undefined ? 0 : 1) + slot.patches.length;
};

const isCopy = (event: ChangeEvent | undefined): event is WriteEvent =>
  event?.op === "write" && event.origin === "copy";

/**
 * Plans one batch of a lane: several events of one key become the last one, inserts are kept apart from replacements,
 * records that hold no event and events behind a dead letter are set aside. Pure; entries are in log order.
 */
export const planBatch = (entries: readonly Entry[], { insertFirst, isHeld }: PlanOptions): Plan => {
  const ops: Mutable = { inserts: [], updates: [], deletes: [] };
  const dead: DeadEntry[] = [];
  const slots = new Map<string, Slot>();
  let [applied, filtered, at] = [0, 0, 0n];
  // The copy sends each key once: no need to look for later events of the same key.
  const onlyCopy = entries.every((entry) => isCopy(entry.event));
  for (const entry of entries) {
    const { event } = entry;
    if (event !== undefined && event.at > at) at = event.at;
    if (entry.dead !== undefined) dead.push({ entry, reason: entry.dead });
    else if (event === undefined || event.op === "noop" || event.op === "ddl") filtered++;
    else if (isHeld(event.key)) dead.push({ entry, reason: BEHIND });
    else if (onlyCopy && isCopy(event)) {
      addWrite(ops, event, insertFirst);
      applied++;
    } else fold(slots, entry, event);
  }
  for (const slot of slots.values()) {
    const effect = emit(ops, slot, insertFirst);
    if (typeof effect === "number") applied += effect;
    else dead.push(...slot.entries.map((entry) => ({ entry, reason: unclear(effect) })));
  }
  const received = entries.length;
  const counts = {
    received,
    applied,
    filtered,
    dead: dead.length,
    superseded: received - applied - filtered - dead.length,
  };
  return { ops, dead, counts, at, logTimeMs: entries.at(-1)?.record.timestampMs ?? 0 };
};

const BEHIND: DeadReason = {
  code: "FERRY_APPLY_BEHIND",
  detail: "an earlier event of the same key waits in the dead letters",
  serverCode: undefined,
};

const unclear = (detail: string): DeadReason => ({ code: "FERRY_APPLY_DELTA", detail, serverCode: undefined });
