import type { LaneState } from "#apply/lanes/claims.ts";
import type { LaneCommit, LaneMove, LaneWork } from "#apply/lanes/laneCommit.ts";
import type { Entry } from "#apply/plan/entry.ts";
import { planPatch } from "#apply/plan/patch.ts";
import { type BatchPlan, planBatch, type Writes } from "#apply/plan/plan.ts";
import type { Clock } from "#base/flow/clock.ts";
import type { StateTx } from "#base/flow/stateTx.ts";
import { type Counts, NO_COUNTS, type TargetOp } from "#base/flow/types.ts";
import type { Sink } from "#sink/sink.ts";
import type { ConflictGate, Settlement } from "./conflictGate.ts";
import type { DriftGate } from "./driftGate.ts";
import type { Lookup } from "./lookup.ts";
import type { Shape } from "./shape.ts";
import type { Identify } from "./targetCollation.ts";

export type LaneStepsDeps = Readonly<{
  /** Completes updates without a document from the source; undefined applies their deltas. */
  lookup: Lookup | undefined;
  /** Completes one event when its delta was refused; undefined where no source is given. */
  rescue: Lookup | undefined;
  /** Looks at each document's shape; undefined keeps no ledger. */
  drift: DriftGate | undefined;
  /** The route's filter; undefined leaves documents as they lie. */
  shape: Shape | undefined;
  /** Knows what others wrote on the target; undefined where the source owns whole documents. */
  conflicts: ConflictGate | undefined;
  sink: Sink;
  commit: LaneCommit;
  /** Called for each commit that is durable. */
  onSettled: (settled: SettledBatch) => void;
  clock: Clock;
}>;

/** What a commit has settled: what its events ended as, and what was done on the target. */
export type SettledBatch = Readonly<{ counts: Counts; ops: readonly TargetOp[] }>;

/** What a commit does, but for drift and conflicts, which every commit has. */
export type Planned = Readonly<{
  move: LaneMove;
  ops: readonly TargetOp[];
  /** Writes down what comes or goes with it: letters, a repair. */
  note: (tx: StateTx | undefined) => Promise<void>;
}>;

type Note = Planned["note"];
type IsHeld = (key: Uint8Array) => boolean;

/** Is it a delta that the target, or a rule, cannot be told? */
const isUnclear = ({ event, dead }: Entry): boolean =>
  event?.op === "patch" &&
  (dead === undefined ? "unclear" in planPatch(event.update) : dead.code === "FERRY_APPLY_DELTA");

/**
 * What a lane does with its entries, in this order:
 *
 *   1. look up   updates that came without their document get it from the source
 *   2. drift     what is new in the documents' shape is noticed, and treated as the policy wants
 *   3. filter    the route's rules
 *   4. conflict  documents that others wrote on the target are settled, as of one instant
 *   5. plan      the last state of each key becomes an operation of the target
 *   6. commit    position, documents, letters, conflicts and drift become durable
 *
 * `ready` is 1 to 3, once for each entry. `commit` is 4 to 6: where the target has other writers each try begins at 4, since
 * they may be the reason that the last one failed; otherwise a batch is planned once.
 */
export class LaneSteps {
  readonly #deps: LaneStepsDeps;
  readonly #isHeld: IsHeld;
  #lane: LaneState;

  /** @param isHeld does a key wait behind a dead letter? */
  constructor(deps: LaneStepsDeps, lane: LaneState, isHeld: IsHeld) {
    this.#deps = deps;
    this.#lane = lane;
    this.#isHeld = isHeld;
  }

  /** Everything before its offset is on the target. */
  get state(): LaneState {
    return this.#lane;
  }

  /** False where a batch may be written again. */
  get isTransactional(): boolean {
    return this.#deps.commit.isTransactional;
  }

  /** A move that leaves the lane where it is. */
  standing(): LaneMove {
    const { offset, at, logTimeMs } = this.#lane;
    return { offset, at, logTimeMs, counts: NO_COUNTS, filteredBy: {} };
  }

  /** Steps 1 to 3 for as many entries, from `from` on, as keep the looked-up documents within memory. @throws FERRY_DRIFT_STOP, FERRY_MONGO_* */
  async ready(entries: readonly Entry[], from: number): Promise<Readonly<{ ready: readonly Entry[]; taken: number }>> {
    const { lookup } = this.#deps;
    const { completed, taken } =
      lookup === undefined
        ? { completed: entries.slice(from), taken: entries.length - from }
        : await lookup.complete(entries, from);
    return { ready: await this.#shaped(completed, entries.slice(from, from + taken)), taken };
  }

  /** The same for the entry of a dead letter, which was counted when it came. */
  async readyAgain(entry: Entry): Promise<readonly Entry[]> {
    const { lookup, drift } = this.#deps;
    const completed = lookup === undefined ? [entry] : (await lookup.complete([entry], 0)).completed;
    return this.#filtered(drift === undefined ? completed : await drift.judgeAgain(completed));
  }

  /** The same for an entry whose delta the target refuses: with its document. Undefined where no source is given. */
  async readyWhole(entry: Entry): Promise<readonly Entry[] | undefined> {
    const { rescue } = this.#deps;
    if (rescue === undefined) return undefined;
    const { completed } = await rescue.complete([entry], 0);
    return this.#shaped(completed, [entry]);
  }

  /** @param seen the same entries as the reader saw them */
  async #shaped(entries: readonly Entry[], seen: readonly Entry[]): Promise<readonly Entry[]> {
    const { drift } = this.#deps;
    return this.#filtered(drift === undefined ? entries : await drift.judge(entries, seen));
  }

  #filtered(entries: readonly Entry[]): readonly Entry[] {
    const { shape } = this.#deps;
    return shape === undefined ? entries : entries.map(shape);
  }

  /**
   * Step 5, before its place: what `commit` calls with the settled entries. Deltas that cannot be said as changes are completed
   * from the source, where there is one and no conflict has to be settled first.
   */
  async plan(entries: readonly Entry[], writes: Writes, isHeld: IsHeld, identify?: Identify): Promise<BatchPlan> {
    const plan = planBatch(entries, { writes, isHeld, identify });
    const { rescue } = this.#deps;
    const unclear = plan.dead.filter(({ reason }) => reason.code === "FERRY_APPLY_DELTA").map(({ entry }) => entry);
    if (rescue === undefined || unclear.length === 0) return plan;
    return this.plan(await this.#rescued(entries, unclear, rescue), writes, isHeld, identify);
  }

  /** With documents for as many of the unclear ones among them as keep these within memory. */
  async #rescued(entries: readonly Entry[], unclear: readonly Entry[], rescue: Lookup): Promise<readonly Entry[]> {
    const { completed, taken } = await rescue.complete(
      unclear.map((entry) => ({ ...entry, dead: undefined })),
      0,
    );
    const whole = await this.#shaped(completed, []);
    const better = new Map(unclear.slice(0, taken).map((entry, i) => [entry, whole[i] ?? entry]));
    return entries.map((entry) => better.get(entry) ?? entry);
  }

  /** Before step 4, which has to merge with what is the target's own: a whole document, where it will be written as such. */
  async #clear(entries: readonly Entry[]): Promise<readonly Entry[]> {
    const { rescue } = this.#deps;
    const unclear = rescue === undefined ? [] : entries.filter(isUnclear);
    if (rescue === undefined || unclear.length === 0) return entries;
    return this.#clear(await this.#rescued(entries, unclear, rescue));
  }

  /**
   * Steps 4 to 6.
   * @param plan step 5, with the entries as step 4 leaves them
   * @param isHeld keys that step 4 leaves alone, since their events are only set aside
   * @throws FERRY_FENCED, what `plan` throws, what the target refuses; Contended after `patience` write conflicts in a row
   */
  async commit(
    ready: readonly Entry[],
    patience: number,
    plan: (entries: readonly Entry[]) => Promise<Planned>,
    isHeld: IsHeld = this.#isHeld,
  ): Promise<void> {
    const { drift, conflicts, commit, onSettled, clock } = this.#deps;
    const entries = conflicts === undefined ? ready : await this.#clear(ready);
    let planned: Planned | undefined;
    let tries = 0;
    const run = async (noteDrift: Note): Promise<void> => {
      const prepare = async (): Promise<LaneWork> => {
        const settlement = await this.#settled(entries, tries++ > 0, isHeld);
        if (settlement !== undefined || planned === undefined) planned = await plan(settlement?.entries ?? entries);
        return this.#work(planned, settlement, noteDrift);
      };
      this.#lane = await commit.commit(this.#lane, prepare, patience);
    };
    try {
      await (drift === undefined ? run(async () => undefined) : drift.noting(entries, clock.now(), run));
      if (planned !== undefined) onSettled({ counts: planned.move.counts, ops: planned.ops });
    } finally {
      conflicts?.committed();
    }
  }

  #work({ move, ops, note }: Planned, settlement: Settlement | undefined, noteDrift: Note): LaneWork {
    const { sink, conflicts } = this.#deps;
    return {
      move,
      at: settlement?.at,
      write: (tx) => sink.write(ops, tx),
      note: async (tx) => {
        await note(tx);
        if (settlement !== undefined) await conflicts?.write(settlement, tx);
        await noteDrift(tx);
      },
    };
  }

  /** Step 4. Undefined where the target has no other writers. @param isAgain whatever made the last try fail must be known */
  async #settled(entries: readonly Entry[], isAgain: boolean, isHeld: IsHeld): Promise<Settlement | undefined> {
    const { conflicts } = this.#deps;
    if (isAgain) conflicts?.committed();
    return conflicts?.settle(entries, isHeld);
  }

  /** Writes counts of the drift ledger that no batch has taken along. @throws FERRY_FENCED, FERRY_MONGO_* */
  async saveDrift(): Promise<void> {
    const { drift, clock } = this.#deps;
    if (drift?.isDue(clock.now()) !== true) return;
    const nothing = { move: this.standing(), ops: [], note: async () => undefined };
    await this.commit([], Number.POSITIVE_INFINITY, async () => nothing);
  }
}
