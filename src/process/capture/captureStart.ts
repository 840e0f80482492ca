import { randomBytes } from "node:crypto";
import { Long } from "bson";
import { FerryError } from "#base/errors/ferryError.ts";
import { seriesOf } from "#base/flow/buckets.ts";
import type { Clock } from "#base/flow/clock.ts";
import { lookUntil } from "#base/flow/lookUntil.ts";
import { formatNamespace, type Namespace, parseNamespace } from "#base/flow/types.ts";
import type { Logger } from "#base/observe/log.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { commandOf } from "#source/capture/captureLifecycle.ts";
import type { Behind, CaptureRecord, CaptureStore, NewCapture } from "#source/capture/captureStore.ts";
import { type CopyOrder, chooseOrder } from "#source/copy/copyOrder.ts";
import { rangesBetween, readBounds } from "#source/copy/copyRanges.ts";
import type { RangeRecord } from "#source/copy/rangeRecord.ts";
import { removeSpools } from "#source/spool/spoolChain.ts";
import { type Deployment, requireSameSource, sourceOf } from "#source/stream/deployment.ts";
import { tokenTime } from "#source/stream/resumeToken.ts";
import type { Scope } from "#source/stream/scope.ts";
import { noteStart, type StartPoint } from "#source/stream/sourceProbe.ts";

/** How a run carries back after cutovers. Nothing is copied. */
export type Back = Readonly<{
  behind: Behind;
  /** Of what the run does not carry back yet: both sides were equal here. */
  start: StartPoint;
  /** The routes of that, by their names. */
  begun: readonly string[];
}>;

export type CaptureStartDeps = Readonly<{
  source: MongoClient;
  /** Who the source is, so that another one is noticed. */
  deployment: Deployment;
  scope: Scope;
  store: CaptureStore;
  mode: CaptureRecord["mode"];
  /** Are the buckets of time series carried? */
  timeSeries: boolean;
  leaseMs: number;
  /** Documents of one range of the copy, about. */
  rangeDocuments: number;
  copyOrder: CopyOrder;
  back: Back | undefined;
  clock: Clock;
  logger: Logger;
  soft: AbortSignal;
}>;

/** A capture that this process owns. */
export type BegunCapture = Readonly<{
  start: CaptureStartDeps;
  /** Of the source: what was there and meant. */
  carried: readonly Namespace[];
  /** A former process has begun the copy. */
  goesOn: boolean;
}>;

const plan = async (
  { source, rangeDocuments, copyOrder, clock, logger }: CaptureStartDeps,
  namespaces: readonly Namespace[],
  generation: number,
): Promise<{ ranges: RangeRecord[]; documents: number }> => {
  const ranges: RangeRecord[] = [];
  let documents = 0;
  for (const ns of namespaces) {
    const { bounds, size } = await readBounds(source, ns, rangeDocuments);
    const { natural, measured } = await chooseOrder({ client: source, ns, size, bounds, wish: copyOrder, clock });
    if (measured !== undefined) {
      const rates = `${Math.round(measured.natural)} documents/s in natural order, ${Math.round(measured.ranges)} by _id`;
      const fields = { stage: "copy", ns: formatNamespace(ns) };
      logger.info(fields, `random keys: ${rates}; copied ${natural ? "in natural order" : "by ranges of _id"}`);
    }
    const between = rangesBetween(ns, generation, natural ? [] : bounds, size.documents);
    ranges.push(...(natural ? between.map((range) => ({ ...range, order: "natural" as const })) : between));
    documents += size.documents;
  }
  return { ranges, documents };
};

/**
 * Notes the start position, then what there is to copy: in this order, so that whatever happens meanwhile is in the stream.
 * @returns false where another process has begun meanwhile
 */
const begin = async (deps: CaptureStartDeps, namespaces: readonly Namespace[]): Promise<boolean> => {
  const { source, scope, store, timeSeries, back, logger } = deps;
  const { token, at } = back?.start ?? (await noteStart(source, scope.watch));
  const { ranges, documents } = back === undefined ? await plan(deps, namespaces, 1) : { ranges: [], documents: 0 };
  const capture: NewCapture = {
    id: randomBytes(8).toString("hex"),
    ...identityOf(deps),
    timeSeries,
    phase: back === undefined ? "copy" : "stream",
    generation: 1,
    start: token,
    startAt: at,
    token,
    topics: namespaces.map((ns) => ({ name: formatNamespace(ns), next: Long.ZERO })),
    estimate: Long.fromNumber(documents),
    ...(back === undefined ? {} : { behind: back.behind }),
  };
  if (!(await store.begin(capture, ranges))) return false;
  if (back !== undefined) {
    logger.info({ stage: "stream" }, "carrying back from where the target stood when services were sent there");
    return true;
  }
  logger.info(
    { stage: "copy", count: documents },
    `start position noted; about ${documents} documents of ${namespaces.length} collections in ${ranges.length} ranges`,
  );
  return true;
};

/**
 * Lost history, or an operator's request: everything is copied again from a new start. Offsets keep counting, and what
 * the source no longer has is removed from the target ahead of the copied documents.
 */
const beginAgain = async (
  deps: CaptureStartDeps,
  record: CaptureRecord,
  existing: readonly Namespace[],
): Promise<void> => {
  const { source, scope, store, timeSeries, logger } = deps;
  const { token, at } = await noteStart(source, scope.watch);
  const known = record.topics
    .map(({ name }) => parseNamespace(name))
    .filter((ns) => timeSeries || seriesOf(ns) === undefined);
  const names = new Set([...known, ...existing].map(formatNamespace));
  const generation = record.generation + 1;
  const { ranges, documents } = await plan(deps, [...names].map(parseNamespace), generation);
  const next = new Map(record.topics.map(({ name, next: at }) => [name, at]));
  const topics = [...names].map((name) => ({ name, next: next.get(name) ?? Long.ZERO }));
  const estimate = Long.fromNumber(documents);
  await store.restart({ generation, timeSeries, start: token, startAt: at, topics, estimate }, ranges);
  logger.warn({ stage: "copy", count: documents }, `copying again from a new start: generation ${generation}`);
};

/** Were services sent over since, so that there is more to carry back than the record says? */
export const isWider = (back: Back | undefined, { behind }: Pick<CaptureRecord, "behind">): back is Back =>
  back !== undefined && back.behind.newest > (behind?.newest ?? 0);

/**
 * What was sent over since is carried back as well, from where the target stood then. What is carried already is read again
 * from there, to the same end.
 */
const widen = async (
  { store, scope, logger }: CaptureStartDeps,
  record: CaptureRecord,
  { behind, start, begun }: Back,
  existing: readonly Namespace[],
): Promise<void> => {
  const isOver = record.lifecycle?.finalizedAt !== undefined;
  const next = new Map(record.topics.map(({ name, next: at }) => [name, at]));
  const names = new Set([...(isOver ? [] : next.keys()), ...existing.map(formatNamespace)]);
  const token = isOver || tokenTime(record.token) > tokenTime(start.token) ? start.token : record.token;
  const topics = [...names].map((name) => ({ name, next: next.get(name) ?? Long.ZERO }));
  await store.widen({ scope: specOf(scope), token, topics, behind }, begun, isOver);
  const what = isOver ? "" : "; what was carried back already is read again from there";
  logger.info(
    { stage: "stream" },
    `carrying back from where the target stood when more services were sent there${what}`,
  );
};

const specOf = ({ spec }: Scope): CaptureRecord["scope"] => ({
  include: [...spec.include],
  exclude: [...spec.exclude],
});

type IdentityDeps = Pick<CaptureStartDeps, "deployment" | "scope" | "mode"> & Partial<Pick<CaptureStartDeps, "back">>;

/** By what a capture is known again. */
const identityOf = ({ deployment, scope, mode }: IdentityDeps): Pick<CaptureRecord, "mode" | "source" | "scope"> => ({
  mode,
  source: sourceOf(deployment),
  scope: specOf(scope),
});

const sameScope = (record: CaptureRecord, scope: Scope): boolean =>
  JSON.stringify([record.scope.include, record.scope.exclude]) ===
  JSON.stringify([scope.spec.include, scope.spec.exclude]);

/** Is this the capture that the target remembers? @throws FERRY_CAPTURE_OTHER */
export const checkKnown = (record: CaptureRecord, { deployment, scope, mode, back }: IdentityDeps): void => {
  const other = (what: string): FerryError => new FerryError("FERRY_CAPTURE_OTHER", what);
  if (record.mode !== mode) throw other(`this target is fed by ${commandOf(record)}`);
  requireSameSource(record.source, deployment);
  if (!sameScope(record, scope) && !isWider(back, record)) {
    const spell = (names: readonly string[], flag: string): string =>
      names.map((name) => ` ${flag} '${name}'`).join("");
    const said = `${spell(record.scope.include, "--include")}${spell(record.scope.exclude, "--exclude")}`;
    throw other(`the state on this target belongs to a capture of other namespaces; it was started with${said}`);
  }
};

type ClaimDeps = Pick<CaptureStartDeps, "store" | "leaseMs" | "clock" | "logger" | "soft">;

/** How often a lease is looked at, ms. */
const LEASE_LOOK_MS = 100;

/**
 * Waits for the lease of an owner that died, however long it is; one that lives renews it, and is given the time to leave.
 * @throws FERRY_CAPTURE_TAKEN, the signal's reason
 */
const claim = async ({ store, leaseMs, clock, logger, soft }: ClaimDeps): Promise<void> => {
  const patienceMs = leaseMs * 2 + 1000;
  const since = clock.now();
  let lease: CaptureRecord | undefined;
  await lookUntil(LEASE_LOOK_MS, { clock, signal: soft }, async () => {
    if (await store.claim()) return true;
    const record = await store.read();
    const owner = record?.owner ?? "another process";
    if (lease === undefined && record !== undefined) {
      lease = record;
      logger.info({ stage: "capture" }, `${owner} has the capture's lease: waiting for its end`);
    }
    const isRenewed = record?.expiresAt?.getTime() !== lease?.expiresAt?.getTime() || record?.owner !== lease?.owner;
    if (isRenewed && clock.now() - since > patienceMs)
      throw new FerryError("FERRY_CAPTURE_TAKEN", `${owner} captures into this target and renews its lease`);
    return false;
  });
  if (lease !== undefined)
    logger.info({ stage: "capture", ms: clock.now() - since }, "the lease has ended: continuing");
};

/**
 * Empties the target for a new capture, and forgets the one that it remembers, with what it has spooled. That is noted first: a process that is killed in it
 * resumes emptying, because a position without the documents before it would be a gap.
 * @param empty drops what is carried, and forgets its lanes' positions
 */
export const replaceCapture = async (
  deps: ClaimDeps & IdentityDeps,
  spoolDir: string,
  empty: () => Promise<void>,
): Promise<void> => {
  const { store } = deps;
  const known = await store.read();
  if (known !== undefined) {
    await claim(deps);
    await store.replaceBy(identityOf(deps));
  }
  await empty();
  if (known === undefined) return;
  await store.forget();
  await removeSpools(spoolDir, known.id);
};

/**
 * Starts the capture, resumes it or starts it again: its record is owned by this process from here on.
 * @param existing namespaces of the source that are carried
 */
export const startCapture = async (
  deps: CaptureStartDeps,
  existing: readonly Namespace[],
  recopy: boolean,
): Promise<void> => {
  const known = await deps.store.read();
  const isBegun = known === undefined && (await begin(deps, existing));
  await claim(deps);
  const record = await deps.store.read();
  if (record === undefined) throw new FerryError("FERRY_BUG", "the capture's record vanished");
  if (isBegun) return;
  if (known === undefined) checkKnown(record, deps); // another process was faster, and has left since
  if (recopy) return beginAgain(deps, record, existing);
  if (isWider(deps.back, record)) return widen(deps, record, deps.back, existing);
  const { phase, token } = record;
  deps.logger.info(
    { stage: "capture", position: token._data.slice(0, 18) },
    `resuming the ${phase} from the saved position`,
  );
};
