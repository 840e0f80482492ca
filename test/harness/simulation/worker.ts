import { TargetWatch } from "#apply/conflict/targetWatch.ts";
import { type Claim, Claims } from "#apply/lanes/claims.ts";
import { outsideCommit, transactionalCommit } from "#apply/lanes/laneCommit.ts";
import { partitionId } from "#apply/lanes/laneRecords.ts";
import { ConflictGate } from "#apply/pipeline/conflictGate.ts";
import { DriftGate } from "#apply/pipeline/driftGate.ts";
import { LaneWriter } from "#apply/pipeline/laneWriter.ts";
import { Lookup } from "#apply/pipeline/lookup.ts";
import { RunningPartition } from "#apply/pipeline/runningPartition.ts";
import { settleInserts } from "#apply/pipeline/settleInserts.ts";
import { shaper } from "#apply/pipeline/shape.ts";
import { hashIdentity, identityOf } from "#base/bson/identity.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { BudgetShare, ByteBudget } from "#base/flow/byteBudget.ts";
import type { Clock } from "#base/flow/clock.ts";
import { every } from "#base/flow/every.ts";
import type { StateTx } from "#base/flow/stateTx.ts";
import type { DdlEvent } from "#base/flow/types.ts";
import type { Logger } from "#base/observe/log.ts";
import { NO_VITALS } from "#base/observe/vitals.ts";
import type { MemoryLog } from "#io/log/memoryLog.ts";
import { createDecoder } from "#io/wire/decode.ts";
import { RouteFilter } from "#route/filter/routeFilter.ts";
import type { ResumeToken } from "#source/stream/resumeToken.ts";
import { MemoryClaimRecords } from "../memory/claims.ts";
import { MemoryClient, type MemoryDatabase, timeOf } from "../memory/database.ts";
import { MemoryDrift } from "../memory/drift.ts";
import { MemoryConflicts, MemoryForeignWrites, MemoryMarks } from "../memory/foreign.ts";
import { MemorySink } from "../memory/memorySink.ts";
import { MemoryLetters, MemoryPositions } from "../memory/state.ts";
import type { SimulatedProcess } from "./process.ts";
import { type RouteTraits, RULES } from "./route.ts";
import type { Mode } from "./schedule.ts";
import { NS, type Source } from "./source.ts";

export const ROUTE = "test.users";

/** What all processes of a schedule share. */
export type Surroundings = Readonly<{
  mode: Mode;
  route: RouteTraits;
  /** Does the log begin with a copy? */
  hasCopy: boolean;
  source: Pick<Source, "read">;
  batchCount: number;
  budgetBytes: number;
  db: MemoryDatabase;
  log: Pick<MemoryLog, "partition">;
  /** Does the target refuse bad documents now? */
  refusesBad: () => boolean;
  /** A process has claimed the partition, and has not begun to work on it. */
  onClaim: (by: SimulatedWorker) => void;
  /** Where the capture lies in the same process: which of its owners. */
  captureEpoch?: number | undefined;
}>;

const silent: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

const unlessItPasses = (error: unknown): void => {
  if (!isFerry(error)) throw error;
};

/** How long a process rests before it claims again, ms. */
const AGAIN_MS = 400;
/** A silent owner keeps its partition for so long, and renews its lease so often, ms. */
const LEASE_MS = 3000;
const RENEW_MS = 1000;

/** The lanes' part of a process. */
export class SimulatedWorker {
  readonly name: string;
  readonly process: SimulatedProcess;
  readonly #around: Surroundings;
  readonly #client: MemoryClient;
  readonly #clock: Clock;
  readonly #records: MemoryClaimRecords;
  readonly #claims: Claims;
  readonly #slices: number;
  readonly #filter: RouteFilter | undefined;
  #watch: Promise<TargetWatch> | undefined;
  readonly #hard = new AbortController();
  #isStopped = false;
  #partition: RunningPartition | undefined;

  constructor(name: string, slices: number, process: SimulatedProcess, around: Surroundings) {
    this.name = name;
    this.process = process;
    this.#around = around;
    this.#slices = slices;
    const rules = RULES[around.route.filter];
    this.#filter = rules === undefined ? undefined : new RouteFilter(rules);
    this.#client = new MemoryClient(around.db, process.step);
    this.#clock = process.clock;
    this.#records = new MemoryClaimRecords(this.#client);
    const transactional = around.mode !== "standalone";
    const { captureEpoch } = around;
    const lease = { workerId: name, leaseMs: LEASE_MS, captureEpoch };
    this.#claims = new Claims({ ...lease, records: this.#records, transactional });
  }

  get isWorking(): boolean {
    return this.#partition !== undefined;
  }

  /** At once, as where the rest of its process has failed. */
  end(): void {
    this.#isStopped = true;
    this.#hard.abort(new FerryError("FERRY_STOPPED", "the process ends"));
  }

  stop(): void {
    this.#isStopped = true;
    this.#partition?.stop();
  }

  /**
   * Claims the partition and works on it until it is stopped. @param takesOver does not wait until another's lease has run out
   * @throws what no worker may meet
   */
  async run(takesOver: boolean): Promise<void> {
    const former = new MemoryClaimRecords(new MemoryClient(this.#around.db));
    for (let takes = takesOver; !this.#isStopped; ) {
      try {
        // Where a transaction has the record, the lease runs out by itself.
        if (takes) await former.expire({ route: ROUTE, partition: 0 }).catch(unlessItPasses);
        const claim = await this.#claims.claim(ROUTE, 0, this.#slices, 0);
        if (claim !== undefined) {
          takes = false;
          this.#around.onClaim(this);
          await this.#work(claim);
        }
      } catch (error) {
        if (this.#hard.signal.aborted) return;
        if (!isFerry(error) || (error.entry.retry !== "backoff" && error.code !== "FERRY_FENCED")) throw error;
      }
      if (!this.#isStopped) await this.#clock.sleep(AGAIN_MS);
    }
  }

  async #work(claim: Claim): Promise<void> {
    const ending = new AbortController();
    const renewing = every(RENEW_MS, { clock: this.#clock, ended: ending.signal, first: "later" }, () =>
      this.#claims.renew([partitionId(ROUTE, 0)]).catch(unlessItPasses),
    );
    try {
      this.#partition = await this.#open(claim);
      if (this.#isStopped) this.#partition.stop();
      await this.#partition.done;
    } finally {
      this.#partition = undefined;
      await this.#claims.release(claim).catch(unlessItPasses); // the lease runs out
      ending.abort();
      await renewing;
    }
  }

  /** One for all of its claims, as a worker has it. */
  #watched(): Promise<TargetWatch> {
    const key = `watched ${ROUTE}`;
    this.#watch ??= this.#client.get<ResumeToken>(key).then((after) =>
      TargetWatch.open({
        stream: async (from) => new MemoryForeignWrites(this.#client, this.#clock, ROUTE, from),
        route: ROUTE,
        marks: new MemoryMarks(this.#client),
        start: after === undefined ? { at: timeOf(0) } : { after },
        save: (token) =>
          this.#client.update<ResumeToken, void>(key, undefined, (now) => [
            now !== undefined && now._data > token._data ? now : token,
            undefined,
          ]),
        filterBits: 1024,
        clock: this.#clock,
        onRetry: () => undefined,
      }),
    );
    return this.#watch.catch((error: unknown) => {
      this.#watch = undefined; // the next claim tries again
      throw error;
    });
  }

  async #gates(
    sink: MemorySink,
  ): Promise<Readonly<{ drift: DriftGate | undefined; conflicts: ConflictGate | undefined }>> {
    const { route, hasCopy } = this.#around;
    if (route.drift === "none") return { drift: undefined, conflicts: undefined };
    const where = { route: ROUTE, partition: 0 };
    const drift = await DriftGate.open({
      where,
      policy: { newField: route.drift, typeChange: route.drift, depth: 8 },
      ledger: new MemoryDrift(this.#client),
      targetPath: (path) => (this.#filter === undefined ? path : this.#filter.targetPath(path)),
      hasCopy: async () => hasCopy,
      deltas: route.source !== "look-up",
      logger: silent,
      vitals: NO_VITALS,
    });
    if (route.policy === "mirror") return { drift, conflicts: undefined };
    await drift.learn();
    const conflicts = new ConflictGate({
      ...{ where, sink, policy: route.policy, seed: undefined, unsure: false },
      isSource: (path) => drift.carries(path),
      watch: await this.#watched(),
      marks: new MemoryMarks(this.#client),
      store: new MemoryConflicts(this.#client),
    });
    return { drift, conflicts };
  }

  /** Where it looks documents up: the source may have moved on since their events. */
  #lookup(): Lookup | undefined {
    const { route, source } = this.#around;
    if (route.source === "none") return undefined;
    const read = (keys: readonly Uint8Array[]): Promise<readonly Uint8Array[]> =>
      this.process.step().then(() => source.read(keys));
    const { signal } = this.#hard;
    return new Lookup({ read }, { what: "looking documents up", clock: this.#clock, signal });
  }

  async #open(claim: Claim): Promise<RunningPartition> {
    const { log, mode, route, batchCount, budgetBytes, refusesBad } = this.#around;
    const clock = this.#clock;
    const sink = new MemorySink(this.#client, {
      name: ROUTE,
      // No more than the route asks for: see src/sink/open/demands.ts.
      can: {
        transactions: mode === "transactional",
        foreignWrites: this.#around.route.policy !== "mirror",
        patches: this.#around.route.source !== "look-up",
        keys: false,
      },
      validator: ({ bad }) => bad !== true || !refusesBad(),
    });
    const deadLetters = new MemoryLetters(this.#client, clock);
    const held = await deadLetters.held(ROUTE, 0);
    const { drift, conflicts } = await this.#gates(sink);
    const rescue = this.#lookup();
    let { dropAt } = claim;
    const commitDeps = {
      positions: new MemoryPositions(this.#client),
      isContended: (error: unknown) => sink.refusal(error)?.kind === "contended",
      clock,
      signal: this.#hard.signal,
      onRetry: () => undefined,
    };
    const writers = claim.lanes.map((lane, slice) => {
      const session = claim.sessions[slice];
      const isTogether = mode === "transactional" && session !== undefined;
      const deps = {
        ns: NS,
        sink,
        deadLetters,
        clock,
        commit: isTogether ? transactionalCommit(commitDeps, session) : outsideCommit(commitDeps, session),
        collation: { identities: async () => identityOf, isSources: async () => false },
        lookup: route.source === "look-up" ? rescue : undefined,
        rescue,
        drift,
        shape: this.#filter === undefined ? undefined : shaper(this.#filter),
        conflicts,
        makeWay: async () => undefined,
        settleInserts: (ops: Parameters<typeof settleInserts>[1]) => settleInserts(sink, ops),
        onError: "dead-letter",
        onDead: () => undefined,
        onSettled: () => undefined,
        onCopyCollision: async () => undefined,
      } as const;
      return new LaneWriter(deps, lane, held);
    });
    return new RunningPartition({
      claim,
      ns: NS,
      partitionCount: 1,
      reader: log.partition(ROUTE, 0, ROUTE),
      firstOffset: 0,
      decode: createDecoder(),
      writers,
      lane: (keyed, lanes) => (lanes === 1 ? 0 : hashIdentity(keyed) % lanes),
      spelled: () => undefined,
      budget: new BudgetShare(new ByteBudget(budgetBytes)),
      batchBytes: 1_000_000,
      batchCount,
      throttle: undefined,
      onApplied: () => undefined,
      dropAt: () => dropAt,
      begunAt: () => dropAt,
      onDdl: async (event) => {
        await this.#drop(claim, event);
        dropAt = event.at;
      },
      see: drift === undefined ? undefined : (entry) => drift.see(entry),
      onCopyRun: async () => undefined,
      deadLetters,
      held,
      beside: () => [],
      refresh: async () => {
        drift?.decide(await new MemoryDrift(this.#client).decisions(ROUTE));
        if (conflicts !== undefined) await drift?.learn();
      },
      clock,
      logger: silent,
      hard: this.#hard.signal,
    });
  }

  /**
   * The collection goes and its drop is remembered: in the claim's own transaction, which its next owner ends, or without one
   * in an order that may be repeated.
   */
  async #drop(claim: Claim, { at }: DdlEvent): Promise<void> {
    const [session] = claim.sessions;
    const work = async (tx: StateTx | undefined): Promise<boolean> => {
      // First, as every write of a claim's: one that was taken over ends here, and holds no document.
      if (!(await this.#records.isIn(claim, tx)))
        throw new FerryError("FERRY_FENCED", "another worker has the partition");
      for (const identity of this.#around.db.all<Uint8Array>(`docs ${ROUTE}/`).keys())
        await this.#client.put(`docs ${ROUTE}/${identity}`, undefined, tx);
      await this.#records.note(ROUTE, { dropAt: at }, tx);
      return true;
    };
    if (session === undefined) await work(undefined);
    else await session.transaction("dropping", work);
  }
}
