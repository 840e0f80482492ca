import type { Entry } from "#apply/plan/entry.ts";
import type { DriftPolicy } from "#base/config/routes.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import type { StateTx } from "#base/flow/stateTx.ts";
import type { ChangeEvent, LogRecord } from "#base/flow/types.ts";
import type { Logger } from "#base/observe/log.ts";
import type { Vitals } from "#base/observe/vitals.ts";
import { CarriedPaths, rulePath, type TargetPath } from "#route/drift/carriedPaths.ts";
import { deltaShape } from "#route/drift/deltaShape.ts";
import type { DriftBook } from "#route/drift/driftBook.ts";
import type { DriftDecision, DriftRecord } from "#route/drift/ledger.ts";
import { type Change, DriftObserver, type TypeEntry, takeCount, type Verdict } from "#route/drift/observer.ts";
import { typeByte } from "#route/drift/typeNames.ts";
import { RouteFilter } from "#route/filter/routeFilter.ts";
import { type Shape, shaper } from "./shape.ts";

export type DriftGateDeps = Readonly<{
  where: Readonly<{ route: string; partition: number }>;
  policy: DriftPolicy;
  ledger: DriftBook;
  /** How the route calls this path on the target; undefined where it leaves it out: then its news are noted, and nothing more is wanted. */
  targetPath: TargetPath;
  /** Does the topic begin with a copy? Without one, the first document is the baseline. Asked where the ledger is empty. */
  hasCopy: () => Promise<boolean>;
  /** Do updates go to the target as deltas? Otherwise they are seen when they have their documents. */
  deltas: boolean;
  logger: Logger;
  vitals: Vitals;
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

/**
 * One partition's eye on the shape of its documents. An entry comes here three times:
 * - `see`: the reader shows it in the order of the log, so that the copy is known before the stream;
 * - `judge`: its lane asks what to do with it, and shows what it has looked up since;
 * - `noting`: its lane commits it, and writes down what is new in it.
 *
 * What is new is treated as the route's policy, or an operator's decision, wants. What the copy had is the baseline; so is the
 * first document of a route that copies nothing.
 */
export class DriftGate {
  readonly #deps: DriftGateDeps;
  readonly #observer: DriftObserver;
  readonly #decisions = new Map<string, "pass" | "drop">();
  readonly #droppers = new Map<string, Shape | undefined>();
  /** What there is to say of a record; few have anything. */
  readonly #found = new WeakMap<LogRecord, readonly TypeEntry[]>();
  /** Highest offset of a record that has: the batches after it need not be looked through. */
  #lastFound = -1;
  /** May the first document be the baseline? */
  #mayFound = false;
  #founding: readonly TypeEntry[] = [];
  /** The first document's entries that are the baseline, until any lane has written them down. */
  #founded: readonly TypeEntry[] = [];
  #writtenAt = 0;
  /** Paths that other partitions have seen. */
  readonly #elsewhere = new Set<string>();
  /** The cache of `carries`; rebuilt on the next call after a change. */
  #carried: CarriedPaths | undefined;

  private constructor(deps: DriftGateDeps) {
    this.#deps = deps;
    this.#observer = new DriftObserver(deps.policy.depth);
  }

  /** A gate that knows what the route's ledger knows. @throws FERRY_MONGO_* */
  static async open(deps: DriftGateDeps): Promise<DriftGate> {
    const gate = new DriftGate(deps);
    const [records, decisions] = await Promise.all([
      deps.ledger.read(deps.where.route),
      deps.ledger.decisions(deps.where.route),
    ]);
    gate.decide(decisions);
    for (const record of records) gate.#know(record);
    gate.#mayFound = records.length === 0 && !(await deps.hasCopy());
    return gate;
  }

  #know({ path, type, kind, baseline, partition }: DriftRecord): void {
    const byte = typeByte(type);
    if (byte === undefined) return;
    const entry = this.#observer.know(path, byte, kind);
    entry.baseline ||= baseline;
    entry.stored ||= partition === this.#deps.where.partition;
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
    if (baseline || path === "_id" || path.startsWith("_id.") || this.#deps.targetPath(rulePath(path)) === undefined)
      return "pass";
    return BY_POLICY[kind === "field" ? this.#deps.policy.newField : this.#deps.policy.typeChange];
  }

  /** Looks at an entry's document, where it has one. */
  see(entry: Entry): void {
    this.#see(entry, false);
  }

  /** @param isAgain it was counted when it came first */
  #see({ event, record, dead }: Entry, isAgain: boolean): void {
    if (event === undefined || dead !== undefined) return;
    const isFirst = this.#mayFound && this.#observer.size === 0;
    const shape = this.#shape(event, isFirst);
    const found = shape === undefined ? [] : this.#observer.observe(shape, event.at, record.offset, isAgain);
    if (found.length === 0) return;
    this.#carried = undefined;
    if (event.op === "write" && event.origin === "copy") takeAsBaseline(found);
    this.#found.set(record, found);
    if (record.offset > this.#lastFound) this.#lastFound = record.offset;
    if (isFirst) this.#founding = found;
  }

  /** What an event shows of its document. A delta alone is no beginning: what it leaves alone would be news later. */
  #shape(event: ChangeEvent, isFirst: boolean): Uint8Array | undefined {
    if (event.op === "write") return event.doc;
    return event.op === "patch" && this.#deps.deltas && !isFirst ? deltaShape(event) : undefined;
  }

  /**
   * What the policy makes of entries that have their documents. @param seen the same entries as the reader saw them
   * @throws FERRY_DRIFT_STOP, FERRY_MONGO_*
   */
  judge(entries: readonly Entry[], seen: readonly Entry[]): Promise<readonly Entry[]> {
    for (const [i, entry] of entries.entries()) if (entry !== seen[i]) this.#see(entry, false);
    return this.#treated(entries);
  }

  /** The same for entries of dead letters. @throws FERRY_DRIFT_STOP, FERRY_MONGO_* */
  judgeAgain(entries: readonly Entry[]): Promise<readonly Entry[]> {
    for (const entry of entries) this.#see(entry, true);
    return this.#treated(entries);
  }

  async #treated(entries: readonly Entry[]): Promise<readonly Entry[]> {
    const found = this.#of(entries);
    if (found.length === 0) return entries;
    await this.#judge(found);
    await this.#stopAt(entries);
    return entries.map((entry) => this.#treat(entry, this.#found.get(entry.record) ?? []));
  }

  #of(entries: readonly Entry[]): TypeEntry[] {
    const found: TypeEntry[] = [];
    const [first] = entries; // in the order of the log
    if (first === undefined || first.record.offset > this.#lastFound) return found;
    for (const { record } of entries) {
      const own = this.#found.get(record);
      if (own !== undefined) found.push(...own);
    }
    return found;
  }

  async #judge(found: readonly TypeEntry[]): Promise<void> {
    const open = [...new Set(found.filter(({ verdict }) => verdict === "open"))];
    const unsure = open.filter(({ baseline }) => !baseline);
    if (unsure.length > 0) await this.#askLedger(unsure);
    for (const entry of open) {
      if (entry.verdict !== "open") continue; // another lane was faster
      entry.verdict = this.#verdict(entry);
      if (!entry.baseline) this.#say(entry);
    }
    this.#carried = undefined;
  }

  /** Another partition may have met it in the copy; and if there is none, the first document is the baseline. */
  async #askLedger(unsure: readonly TypeEntry[]): Promise<void> {
    const { ledger, where } = this.#deps;
    const founding = this.#founding;
    if (founding.length > 0 && (await ledger.isEmpty(where.route))) takeAsBaseline(founding);
    // Another lane may have asked meanwhile: what it took over stays, until it is written down.
    if (founding.length > 0 && this.#founding === founding) {
      this.#founded = founding.filter(({ baseline }) => baseline);
      this.#founding = [];
    }
    const known = await ledger.read(where.route, [...new Set(unsure.map(({ path }) => path))]);
    for (const entry of unsure)
      entry.baseline ||= known.some(
        ({ path, type, baseline }) => baseline && path === entry.path && type === entry.type,
      );
  }

  #say({ path, type, kind, verdict, firstOffset }: TypeEntry): void {
    const { logger, vitals, where } = this.#deps;
    vitals.count("ferry_drift_findings_total", { route: where.route, kind });
    const what = kind === "field" ? `new field ${path} (${type})` : `${path} has a new type: ${type}`;
    logger.warn({ ...where, offset: firstOffset }, `${what}; ${SAID[verdict]}`);
  }

  /** Nothing of the batch is applied, but what stops it is in the ledger, so that it can be decided on. @throws FERRY_DRIFT_STOP */
  async #stopAt(entries: readonly Entry[]): Promise<void> {
    for (const { record } of entries) {
      const stop = this.#found.get(record)?.find(({ verdict }) => verdict === "stop");
      if (stop === undefined) continue;
      // With the first document's, where it is not there yet: its fields would be news to the next owner.
      const changes = [takeCount(stop)];
      await this.#deps.ledger.write(this.#deps.where, [...changes, ...this.#beginning(changes)], undefined);
      throw new FerryError("FERRY_DRIFT_STOP", `${news(stop)} at offset ${record.offset}`);
    }
  }

  #treat(entry: Entry, found: readonly TypeEntry[]): Entry {
    const wanted = found.filter(({ verdict }) => verdict !== "pass");
    if (wanted.length === 0 || entry.event === undefined) return entry;
    const hold = wanted.find(({ verdict }) => verdict === "hold");
    const dropped = hold === undefined ? this.#without(wanted) : undefined;
    if (dropped !== undefined) return dropped(entry);
    return { ...entry, dead: { code: "FERRY_DRIFT_HELD", detail: news(hold ?? wanted[0]) } };
  }

  /** Leaves these paths out; undefined if a rule cannot express a name (dots, digits). */
  #without(wanted: readonly TypeEntry[]): Shape | undefined {
    const deny = [...new Set(wanted.map(({ path }) => rulePath(path)))].sort();
    const key = deny.join("\0");
    if (!this.#droppers.has(key)) this.#droppers.set(key, dropper(deny));
    return this.#droppers.get(key);
  }

  /** Takes over what other partitions of the route have seen. */
  async learn(): Promise<void> {
    const { ledger, where } = this.#deps;
    for (const { path, partition, outcome } of await ledger.read(where.route))
      if (partition !== where.partition && outcome !== "drop") this.#elsewhere.add(path);
    this.#carried = undefined;
  }

  /** Does the route carry this path (as the target calls it) in some document? */
  carries(path: string): boolean {
    const { targetPath, policy } = this.#deps;
    const seen = (): Iterable<string> => [...this.#observer.carried(), ...this.#elsewhere];
    this.#carried ??= new CarriedPaths(seen(), targetPath, policy.depth);
    return this.#carried.has(path);
  }

  /** Is it time to write counts down? */
  isDue(nowMs: number): boolean {
    return nowMs - this.#writtenAt >= COUNTS_MS && this.#observer.hasCounts;
  }

  /**
   * Runs a lane's commit, and gives it what writes down the news of these entries, and counts now and then. What was not
   * committed is kept for the next one.
   */
  async noting(
    entries: readonly Entry[],
    nowMs: number,
    commit: (note: (tx: StateTx | undefined) => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const { ledger, where } = this.#deps;
    let changes: readonly Change[] | undefined;
    let founded = this.#founded;
    let isWritten = false;
    try {
      await commit(async (tx) => {
        changes ??= this.#take(entries, nowMs);
        founded = this.#founded;
        await ledger.write(where, [...changes, ...this.#beginning(changes)], tx);
      });
      isWritten = true;
      if (this.#founded === founded) this.#founded = []; // what came since is not written yet
    } finally {
      settle(changes ?? [], isWritten);
    }
  }

  /**
   * The baseline, where this is the first commit and another lane has the first document: after a crash nothing would tell that
   * it was the first. It is counted when it is committed.
   */
  #beginning(changes: readonly Change[]): readonly Change[] {
    const own = new Set(changes.map(({ entry }) => entry));
    return this.#founded.filter((entry) => !entry.stored && !own.has(entry)).map((entry) => ({ entry, count: 0 }));
  }

  /** What is new in these entries, and counts now and then. */
  #take(entries: readonly Entry[], nowMs: number): readonly Change[] {
    const fresh = [...new Set(this.#of(entries).filter(({ stored }) => !stored))].map(takeCount);
    if (!this.isDue(nowMs)) return fresh;
    this.#writtenAt = nowMs;
    return [...fresh, ...this.#observer.takeCounts()];
  }
}

const settle = (changes: readonly Change[], isWritten: boolean): void => {
  for (const { entry, count } of changes) {
    if (!isWritten) entry.count += count;
    else {
      entry.stored = true;
      entry.example = undefined;
    }
  }
};

const takeAsBaseline = (found: readonly TypeEntry[]): void => {
  for (const entry of found) if (entry.verdict === "open") entry.baseline = true;
};

const news = (entry: TypeEntry | undefined): string =>
  entry?.kind === "type" ? `${entry.path} has a new type: ${entry.type}` : `new field ${entry?.path} (${entry?.type})`;

const dropper = (deny: readonly string[]): Shape | undefined => {
  try {
    return shaper(new RouteFilter({ fields: { deny } }));
  } catch (error) {
    if (!isFerry(error, "FERRY_CONFIG")) throw error;
    return undefined;
  }
};
