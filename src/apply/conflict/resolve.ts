import { Binary, Long, Timestamp } from "bson";
import type { Entry } from "#apply/plan/entry.ts";
import { identityOf } from "#base/bson/identity.ts";
import type { ChangeEvent, DocumentEvent, NoopEvent } from "#base/flow/types.ts";
import { withDocument } from "#base/flow/withDocument.ts";
import { type ConflictRecord, fieldName, KEPT_BYTES, type Mark } from "./conflictRecords.ts";
import { differing, differsAt, type IsSource, merge, remainder, topLevelNames } from "./merge.ts";

/** A document that another client wrote since ferry did. */
export type Touched = Readonly<{
  /** Undefined where marks are incomplete. */
  mark: Mark | undefined;
  /** Its lane has dealt with writes up to here. */
  settled: Timestamp | undefined;
  /** As it stands on the target; undefined where it is gone. */
  current: Uint8Array | undefined;
}>;

export type Resolution = Readonly<{ entries: readonly Entry[]; conflicts: readonly ConflictRecord[] }>;

export type ResolveOptions = Readonly<{
  policy: "merge" | "keep-target";
  route: string;
  partition: number;
  /** Target namespace, as text. */
  ns: string;
  isSource: IsSource;
}>;

/** What a batch does to one touched document. */
type Case = Touched & {
  last: Readonly<{ entry: Entry; event: DocumentEvent }> | undefined;
  now: Uint8Array | undefined;
};

const kept = ({ ns, origin, at }: ChangeEvent): NoopEvent => ({ op: "noop", reason: "keep-target", ns, origin, at });

const isKeyed = (event: ChangeEvent | undefined): event is DocumentEvent =>
  event?.op === "write" || event?.op === "patch" || event?.op === "delete";

/** The event as it may be carried out on a document that is not the source's alone. */
const merged = (event: DocumentEvent, one: Case, isSource: IsSource): DocumentEvent => {
  if (event.op === "patch") return event; // it touches the source's fields only
  const { now } = one;
  if (event.op === "write") {
    one.now = now === undefined ? event.doc : merge(now, event.doc, isSource);
    return withDocument(event, one.now, false);
  }
  one.now = now === undefined ? undefined : remainder(now, isSource);
  if (one.now === undefined) return event;
  const { ns, origin, at, key } = event;
  return { op: "write", ns, origin, at, key, doc: one.now, fresh: false };
};

const later = (at: Timestamp | undefined, settled: Timestamp | undefined): boolean =>
  at !== undefined && (settled === undefined || at.greaterThan(settled));

/** Paths that were written since it was settled, as far as that is known; undefined for the whole document. */
const writtenPaths = ({ mark, settled, current }: Touched): readonly string[] | undefined => {
  if (mark === undefined) return [];
  if (later(mark.whole, settled)) return undefined;
  const written = Object.entries(mark.fields ?? {}).flatMap(([key, at]) =>
    later(at, settled) ? [fieldName(key)] : [],
  );
  if (mark.seed === undefined || settled !== undefined || current === undefined) return written;
  return [...new Set([...written, ...topLevelNames(current)])]; // it was there before: whatever it has is the target's
};

type Judgement = Readonly<{ winner: "source" | "target"; why: string; fields: readonly string[] }>;

const judgeMerge = (one: Case, event: DocumentEvent, isSource: IsSource): Judgement | undefined => {
  const { current, now } = one;
  const written = writtenPaths(one);
  if (written?.length === 0) return undefined; // nothing new since the last time
  if (event.op === "delete") {
    if (current === undefined) return undefined;
    if (now === undefined)
      return {
        winner: "source",
        why: "the source deleted a document that the target had changed",
        fields: written ?? [],
      };
    return { winner: "target", why: "the source deleted the document; fields of the target's own stay", fields: [] };
  }
  if (current === undefined)
    return { winner: "source", why: "the target had deleted a document that the source changed", fields: [] };
  if (event.op === "patch" || now === undefined) return undefined;
  const fields =
    written?.filter((path) => differsAt(current, now, path)) ??
    differing(current, now).filter((name) => isSource(name));
  return fields.length === 0
    ? undefined
    : { winner: "source", why: "both wrote the same fields, and the source owns the fields it sends", fields };
};

const judgeKept = ({ current }: Case, event: DocumentEvent): Judgement | undefined => {
  if (event.op === "delete")
    return current === undefined
      ? undefined
      : { winner: "target", why: "the source deleted a document that the target had changed", fields: [] };
  if (current === undefined) return { winner: "target", why: "the target had deleted the document", fields: [] };
  if (event.op === "patch") return { winner: "target", why: "the target had changed the document", fields: [] };
  const fields = differing(current, event.doc);
  if (fields.length > 0) return { winner: "target", why: "the target had changed the document", fields };
  return Buffer.compare(current, event.doc) === 0
    ? undefined
    : { winner: "target", why: "the target has the fields in another order", fields };
};

const version = (bytes: Uint8Array | undefined): Binary | null =>
  bytes === undefined || bytes.length > KEPT_BYTES ? null : new Binary(bytes);

const recordOf = (
  one: Case,
  { entry, event }: NonNullable<Case["last"]>,
  found: Judgement,
  options: ResolveOptions,
): ConflictRecord => {
  const { route, partition, ns, policy } = options;
  const { winner, why, fields } = found;
  const source = event.op === "write" ? event.doc : undefined;
  return {
    _id: `${route}/${partition}/${entry.record.offset}`,
    route,
    partition,
    offset: Long.fromNumber(entry.record.offset),
    ns,
    key: new Binary(Buffer.from(identityOf(event.key), "latin1")),
    documentKey: new Binary(event.key),
    policy,
    winner,
    why,
    fields: [...fields],
    source: version(source),
    target: version(one.current),
    sourceBytes: source?.length ?? 0,
    targetBytes: one.current?.length ?? 0,
    at: new Timestamp(event.at),
    storedAt: new Date(),
  };
};

/**
 * What a batch's events may do to documents that others wrote, and what has to be recorded: one conflict a document,
 * with its last event. Pure; entries are in log order, events of other documents pass as they are.
 */
export const resolve = (
  entries: readonly Entry[],
  touched: ReadonlyMap<string, Touched>,
  options: ResolveOptions,
): Resolution => {
  const cases = new Map<string, Case>();
  const resolved = entries.map((entry): Entry => {
    const { event, dead } = entry;
    if (!isKeyed(event) || dead !== undefined) return entry;
    const identity = identityOf(event.key);
    const known = touched.get(identity);
    if (known === undefined) return entry;
    const one: Case = cases.get(identity) ?? { ...known, last: undefined, now: known.current };
    cases.set(identity, one);
    one.last = { entry, event };
    return { ...entry, event: options.policy === "merge" ? merged(event, one, options.isSource) : kept(event) };
  });
  const conflicts = [...cases.values()].flatMap((one) => {
    if (one.last === undefined) return [];
    const { event } = one.last;
    const found = options.policy === "merge" ? judgeMerge(one, event, options.isSource) : judgeKept(one, event);
    return found === undefined ? [] : [recordOf(one, one.last, found, options)];
  });
  return { entries: resolved, conflicts };
};
