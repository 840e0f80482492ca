import type { Entry } from "#apply/entry.ts";
import type { DriftPolicy } from "#config/routes.ts";
import type { DriftDecision, DriftLedger, DriftRecord } from "#drift/ledger.ts";
import { type Change, DriftObserver, type TypeEntry, type Verdict } from "#drift/observer.ts";
import { typeByte } from "#drift/typeNames.ts";
import { FerryError, isFerry } from "#errors/ferryError.ts";
import { RouteFilter } from "#filter/routeFilter.ts";
import type { WriteEvent } from "#flow/types.ts";
import type { ClientSession } from "#mongo/connect.ts";
import type { Logger } from "#observe/log.ts";

export type DriftGateDeps = Readonly<{
  lane: Readonly<{ id: string; route: string; partition: number }>;
  policy: DriftPolicy;
  ledger: DriftLedger;
  /** Does the route leave this path out anyway? Then its news are noted, and nothing more is wanted. */
  leavesOut: (path: string) => boolean;
  logger: Logger;
}>;

/** How often counts of known fields are written, ms; what is new is written with the batch that has it. */
const COUNTS_MS = 1000;

const BY_POLICY: Readonly<Record<DriftPolicy["newField"], Verdict>> = {
  pass: "pass",
  "drop-and-report": "drop",
  hold: "hold",
  stop: "stop",
};

const SAID: Readonly<Record<Verdict, string>> = {
  open: "open",
  pass: "it is written",
  drop: "it is left out",
  hold: "its documents wait in the dead letters",
  stop: "the route stops",
};

/** A path as rules spell it. */
const rulePath = (path: string): string => path.replaceAll("[]", "");

/**
 * Notices new fields and types before the filter sees a document, and does with them what the route's policy, or an
 * operator's decision, wants. What the copy had is the baseline; so is the first document of a route that copies nothing.
 */
export class DriftGate {
  readonly #deps: DriftGateDeps;
  readonly #observer: DriftObserver;
  readonly #decisions = new Map<string, "pass" | "drop">();
  readonly #droppers = new Map<string, RouteFilter | undefined>();
  #news = false;
  #writtenAt = 0;

  private constructor(deps: DriftGateDeps) {
    this.#deps = deps;
    this.#observer = new DriftObserver(deps.policy.depth);
  }

  /** A gate that knows what the route's ledger knows. @throws FERRY_MONGO_* */
  static async open(deps: DriftGateDeps): Promise<DriftGate> {
    const gate = new DriftGate(deps);
    const [records, decisions] = await Promise.all([
      deps.ledger.read(deps.lane.route),
      deps.ledger.decisions(deps.lane.route),
    ]);
    gate.decide(decisions);
    for (const record of records) gate.#know(record);
    return gate;
  }

  #know({ path, type, kind, baseline }: DriftRecord): void {
    const byte = typeByte(type);
    if (byte === undefined) return;
    const entry = this.#observer.know(path, byte, kind);
    entry.baseline ||= baseline;
    entry.verdict = this.#verdict(entry);
  }

  /** Takes operators' decisions over; they count from the next document on. */
  decide(decisions: readonly DriftDecision[]): void {
    for (const { path, type, verdict } of decisions) {
      this.#decisions.set(`${path}\0${type ?? "*"}`, verdict);
      for (const entry of this.#observer.entriesOf(path))
        if (entry.verdict !== "open") entry.verdict = this.#verdict(entry);
    }
  }

  #verdict(entry: TypeEntry): Verdict {
    const { path, type, kind, baseline } = entry;
    const decided = this.#decisions.get(`${path}\0${type}`) ?? this.#decisions.get(`${path}\0*`);
    if (decided !== undefined) return decided;
    if (baseline || path === "_id" || path.startsWith("_id.") || this.#deps.leavesOut(rulePath(path))) return "pass";
    return BY_POLICY[kind === "field" ? this.#deps.policy.newField : this.#deps.policy.typeChange];
  }

  /** Looks at entries in order. @throws FERRY_DRIFT_STOP, FERRY_MONGO_* */
  async pass(entries: readonly Entry[]): Promise<readonly Entry[]> {
    const noted = new Map<number, readonly TypeEntry[]>();
    let founding: readonly TypeEntry[] = []; // of the first document that this lane sees at all
    for (let index = 0; index < entries.length; index++) {
      const { event, record, dead } = entries[index] as Entry;
      if (event?.op !== "write" || dead !== undefined) continue;
      const isFirst = this.#observer.isEmpty;
      const found = this.#observer.observe(event.doc, event.at, record.offset);
      if (found.length === 0) continue;
      if (event.origin === "copy") takeAsBaseline(found);
      else if (isFirst) founding = found;
      noted.set(index, found);
    }
    if (noted.size === 0) return entries;
    await this.#judge([...noted.values()].flat(), founding);
    return entries.map((entry, index) => this.#treat(entry, noted.get(index) ?? []));
  }

  async #judge(found: readonly TypeEntry[], founding: readonly TypeEntry[]): Promise<void> {
    const open = [...new Set(found.filter(({ verdict }) => verdict === "open"))];
    if (open.length === 0) return;
    this.#news = true;
    const unsure = open.filter(({ baseline }) => !baseline);
    if (unsure.length > 0) await this.#askLedger(unsure, founding);
    for (const entry of open) {
      entry.verdict = this.#verdict(entry);
      if (!entry.baseline) this.#say(entry);
    }
  }

  /** Another lane may have met it in the copy; and where nobody has met anything, the first document is what there was. */
  async #askLedger(unsure: readonly TypeEntry[], founding: readonly TypeEntry[]): Promise<void> {
    const { ledger, lane } = this.#deps;
    if (founding.length > 0 && (await ledger.isEmpty(lane.route))) takeAsBaseline(founding);
    const known = await ledger.read(lane.route, [...new Set(unsure.map(({ path }) => path))]);
    for (const entry of unsure)
      entry.baseline ||= known.some(
        ({ path, type, baseline }) => baseline && path === entry.path && type === entry.type,
      );
  }

  #say({ path, type, kind, verdict, firstOffset }: TypeEntry): void {
    const { logger, lane } = this.#deps;
    const what = kind === "field" ? `new field ${path} (${type})` : `${path} has a new type: ${type}`;
    logger.warn({ route: lane.route, lane: lane.id, offset: firstOffset }, `${what}; ${SAID[verdict]}`);
  }

  #treat(entry: Entry, found: readonly TypeEntry[]): Entry {
    const wanted = found.filter(({ verdict }) => verdict !== "pass");
    if (wanted.length === 0 || entry.event?.op !== "write") return entry;
    const stop = wanted.find(({ verdict }) => verdict === "stop");
    if (stop !== undefined) throw new FerryError("FERRY_DRIFT_STOP", `${news(stop)} at offset ${entry.record.offset}`);
    const hold = wanted.find(({ verdict }) => verdict === "hold");
    const dropped = hold === undefined ? this.#without(entry.event, wanted) : undefined;
    if (dropped !== undefined) return { ...entry, event: dropped };
    return { ...entry, dead: { code: "FERRY_DRIFT_HELD", detail: news(hold ?? wanted[0]), serverCode: undefined } };
  }

  /** The event without these paths; undefined where a name cannot be said in a rule (dots, digits). */
  #without(event: WriteEvent, wanted: readonly TypeEntry[]): WriteEvent | undefined {
    const deny = [...new Set(wanted.map(({ path }) => rulePath(path)))].sort();
    const key = deny.join("\0");
    if (!this.#droppers.has(key)) this.#droppers.set(key, dropper(deny));
    const doc = this.#droppers.get(key)?.document(event.doc);
    return doc === undefined ? undefined : { ...event, doc };
  }

  /** Is there something to be written down with the next batch? */
  due(nowMs: number): boolean {
    return this.#news || (this.#observer.touched && nowMs - this.#writtenAt >= COUNTS_MS);
  }

  /** What is to be written down; `giveBack` it when that fails. */
  take(nowMs: number): readonly Change[] {
    this.#news = false;
    this.#writtenAt = nowMs;
    return this.#observer.takeChanges();
  }

  giveBack(changes: readonly Change[]): void {
    this.#news = true;
    this.#observer.giveBack(changes);
  }

  write(changes: readonly Change[], session: ClientSession | undefined): Promise<void> {
    return this.#deps.ledger.write(this.#deps.lane, changes, session);
  }
}

const takeAsBaseline = (found: readonly TypeEntry[]): void => {
  for (const entry of found) if (entry.verdict === "open") entry.baseline = true;
};

const news = (entry: TypeEntry | undefined): string =>
  entry?.kind === "type" ? `${entry.path} has a new type: ${entry.type}` : `new field ${entry?.path} (${entry?.type})`;

const dropper = (deny: readonly string[]): RouteFilter | undefined => {
  try {
    return new RouteFilter({ fields: { deny } });
  } catch (error) {
    if (!isFerry(error, "FERRY_CONFIG")) throw error;
    return undefined;
  }
};
