import assert from "node:assert/strict";
import { Binary, BSON, Int32, Long, Timestamp } from "bson";
import { imbalance } from "#base/flow/types.ts";
import { MemoryLog } from "#io/log/memoryLog.ts";
import type { CapturedRecord } from "#io/wire/captured.ts";
import type { CaptureRecord } from "#source/capture/captureStore.ts";
import { type RangeRecord, rangeId } from "#source/copy/rangeRecord.ts";
import { tokenTime } from "#source/stream/resumeToken.ts";
import { seeded } from "#tools/workload/people.ts";
import { MemoryCaptureBook } from "../memory/captureBook.ts";
import { MemorySource, tokenAt } from "../memory/captureSource.ts";
import { MemoryClaimRecords } from "../memory/claims.ts";
import { MemoryClient, MemoryDatabase } from "../memory/database.ts";
import { FakeClock } from "../memory/fakeClock.ts";
import { documentKeyIn } from "../memory/memorySink.ts";
import type { SpoolFiles } from "../memory/spool.ts";
import type { lanesOf } from "../memory/state.ts";
import { type CaptureSurroundings, laneWorker, SimulatedRun } from "./captureProcess.ts";
import { type CaptureSchedule, type CaptureStep, KEYS } from "./captureSchedule.ts";
import { runRepeatably, SimulatedProcess } from "./process.ts";
import { keyOf, NS } from "./source.ts";
import { ROUTE } from "./worker.ts";

/** Whatever is left to do takes no longer than this, ms. */
const LIMIT_MS = 120_000;

/** One schedule: a source, its capture and what comes of it on the target, and the processes that come and go between them. */
class CaptureWorld {
  readonly #schedule: CaptureSchedule;
  readonly #clock = new FakeClock();
  readonly #db = new MemoryDatabase(() => this.#clock.now());
  readonly #observer = new MemoryClient(this.#db);
  readonly #book = new MemoryCaptureBook(this.#observer, "observer", 0);
  readonly #source = new MemorySource(NS);
  readonly #files: SpoolFiles = { last: undefined };
  readonly #log: MemoryLog | undefined;
  readonly #runs: SimulatedRun[] = [];
  /** What the log has of the stream, by offset: the clusterTimes of its events. */
  readonly #streamed = new Map<number, bigint>();
  #receivedByCopy: number | undefined;
  #failure: unknown;
  readonly random: () => number;

  constructor(schedule: CaptureSchedule) {
    this.#schedule = schedule;
    this.random = seeded(schedule.seed);
    if (schedule.log === "kafka") {
      this.#log = new MemoryLog({ id: "lasting", limitBytes: Number.MAX_SAFE_INTEGER, readersOf: () => [ROUTE] });
      this.#log.open(ROUTE, { first: 0, next: 0, high: 0 });
    }
  }

  async run(): Promise<void> {
    const workers = this.#log === undefined ? [] : [this.#lanesBeside(this.#log)];
    try {
      await this.#begin();
      this.#start();
      for (const step of this.#schedule.steps) await this.#do(step);
      await this.#drain();
      this.#check();
    } finally {
      for (const { process } of [...this.#runs, ...workers]) process.kill();
    }
  }

  /** As it is noted before anything is read. */
  async #begin(): Promise<void> {
    const { copied, ranges: wanted } = this.#schedule;
    await new MemoryClaimRecords(this.#observer).register(ROUTE, ROUTE, this.#schedule.slices);
    for (let key = 0; key < copied; key++) this.#source.documents.set(key, { _id: new Int32(key), a: new Int32(key) });
    const size = Math.ceil(KEYS / wanted);
    const bound = (n: number): Binary | null =>
      n === 0 || n >= wanted ? null : new Binary(BSON.serialize({ _id: new Int32(n * size) }));
    const ranges = Array.from({ length: wanted }, (_, index): RangeRecord => {
      const _id = rangeId(ROUTE, 1, index);
      const rest = { at: null, documents: Long.ZERO, done: false };
      return {
        _id,
        plan: "plan",
        topic: ROUTE,
        generation: 1,
        index,
        from: bound(index),
        to: bound(index + 1),
        ...rest,
      };
    });
    const token = tokenAt(this.#source.at);
    const record: CaptureRecord = {
      ...{ _id: "capture", id: "simulated", mode: "direct", phase: "copy", plan: "plan", generation: 1 },
      source: { hosts: [] } as unknown as CaptureRecord["source"],
      scope: { include: [ROUTE], exclude: [] },
      ...{ start: token, startAt: new Timestamp(this.#source.at), token, topics: [{ name: ROUTE, next: Long.ZERO }] },
      ...{ epoch: Long.ZERO, owner: null, expiresAt: null, startedAt: new Date(0) },
    };
    await this.#book.begin(record, ranges);
  }

  get #current(): SimulatedRun {
    return this.#runs.findLast(({ process }) => !process.isDead) ?? (this.#runs.at(-1) as SimulatedRun);
  }

  #lanesBeside(log: MemoryLog): ReturnType<typeof laneWorker> {
    const process = new SimulatedProcess(this.#clock, this.random);
    const worker = laneWorker("worker", process, this.#schedule, this.#db, inOrderOfKeys(log));
    // Its records are there when it begins.
    void this.#clock.sleep(1).then(() => worker.run(false).catch((error: unknown) => this.#fail(error)));
    return worker;
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
  }

  #start(): void {
    const around: CaptureSurroundings = {
      ...{ schedule: this.#schedule, source: this.#source, db: this.#db, files: this.#files, log: this.#log },
      onAppend: (records, epoch) => this.#note(records, epoch),
      onClaim: (by) => this.#claimed(by),
      onCopied: () => {
        this.#receivedByCopy ??= this.#received;
      },
    };
    const process = new SimulatedProcess(this.#clock, this.random);
    const run = new SimulatedRun(`run-${this.#runs.length}`, process, around);
    this.#runs.push(run);
    run.run().catch((error: unknown) => this.#fail(error));
  }

  get #epoch(): number {
    return Number((this.#db.look("capture capture", undefined) as CaptureRecord | undefined)?.epoch);
  }

  get #lanes(): readonly Readonly<{ offset: number; counts: Parameters<typeof imbalance>[0] }>[] {
    return [...this.#db.all<Awaited<ReturnType<typeof lanesOf>>[number]>(`lanes ${ROUTE}/0`).values()];
  }

  get #received(): number {
    return this.#lanes.reduce((sum, { counts }) => sum + counts.received, 0);
  }

  /** What is captured once more has its former place, where the log ends with its process; else it comes twice. */
  #note(records: readonly CapturedRecord[], epoch: number): void {
    // What a former owner captures goes into a log that none reads any more.
    if (this.#log === undefined && epoch !== this.#epoch) return;
    for (const { offset, event } of records) {
      if (event?.origin !== "stream") continue;
      const known = this.#streamed.get(offset);
      if (known !== undefined && known !== event.at)
        this.#fail(new Error(`offset ${offset} held event ${known}, and holds ${event.at}`));
      this.#streamed.set(offset, event.at);
    }
  }

  async #pass(ms: number): Promise<void> {
    await this.#clock.pass(ms);
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #do(step: CaptureStep): Promise<void> {
    // As a supervisor does it.
    if (this.#runs.every(({ process, hasStopped }) => process.isDead || hasStopped)) this.#start();
    switch (step.do) {
      case "put":
        return this.#source.put(step.key, { a: new Int32(step.value) });
      case "set":
        return this.#source.set(step.key, { b: new Int32(step.value) });
      case "delete":
        return this.#source.put(step.key, undefined);
      case "note":
        return this.#source.note();
      case "rest":
        return this.#pass(step.ms);
      case "fault":
        return this.#current.process.arm(step.fault, step.after);
      case "start":
        if (step.takesOver) await this.#expire();
        return this.#start();
      case "revive":
        return this.#runs.find(({ process }) => process.isFrozen)?.process.revive();
      case "stop":
        return this.#current.stop();
    }
  }

  /**
   * A former owner is known to be dead where they share a log, or a spool's files: nothing keeps one that comes back from writing
   * into these.
   */
  #claimed(by: SimulatedRun): void {
    if (this.#log === undefined && !this.#schedule.spools) return;
    for (const run of this.#runs) if (run !== by && (run.isAtWork || run.process.isFrozen)) run.process.kill();
  }

  /** As if no renewal of its owner had come through for long. */
  async #expire(): Promise<void> {
    await this.#book.expire();
    if (this.#log === undefined) await new MemoryClaimRecords(this.#observer).expire({ route: ROUTE, partition: 0 });
  }

  /** Everything goes well from now on, until nothing is left to do. */
  async #drain(): Promise<void> {
    for (const { process } of this.#runs) {
      process.disarm();
      process.revive();
    }
    this.#start();
    for (let waited = 0; !(await this.#isDrained()); waited += 500) {
      if (waited >= LIMIT_MS) await this.#standsStill();
      await this.#pass(500);
    }
  }

  async #standsStill(): Promise<never> {
    const { phase, token, owner, topics } = (await this.#book.read()) ?? {};
    const position = token && tokenTime(token) >> 32n;
    const next = Number(topics?.[0]?.next);
    const lanes = this.#lanes.map(({ offset }) => offset).join();
    return assert.fail(
      `it stands still in ${phase} of ${owner} at ${position} of ${this.#source.at >> 32n}, lanes at ${lanes} of ${next}`,
    );
  }

  async #isDrained(): Promise<boolean> {
    const record = await this.#book.read();
    if (record?.phase !== "stream" || tokenTime(record.token) < this.#source.at) return false;
    const end = this.#log?.ends().get(ROUTE) ?? Number(record.topics[0]?.next);
    const [partition] = await new MemoryClaimRecords(this.#observer).partitionsOf(ROUTE);
    const lanes = this.#lanes.slice(0, partition?.slices ?? 0);
    return lanes.length > 0 && lanes.every(({ offset }) => offset >= end);
  }

  #check(): void {
    for (let key = 0; key < KEYS; key++) {
      const found = this.#db.look(documentKeyIn(ROUTE, keyOf(key)), undefined) as Uint8Array | undefined;
      const document = this.#source.documents.get(key);
      assert.equal(hex(found), hex(document && BSON.serialize(document)), `document ${key}`);
    }
    const wanted = this.#source.changes.map(({ at }) => at);
    const inOrder = [...this.#streamed].sort(([a], [b]) => a - b).map(([, at]) => at);
    if (this.#log === undefined) assert.deepEqual(inOrder, wanted, "each event has one place in the log, in its order");
    else this.#checkNoGap(inOrder, wanted);
    for (const { counts } of this.#lanes) {
      assert.equal(imbalance(counts), 0, "the books balance");
      assert.equal(counts.dead, 0, "nothing is dead");
    }
    if (this.#log === undefined)
      assert.equal(this.#received - (this.#receivedByCopy ?? 0), wanted.length, "each event is received once");
  }

  /** Events may come twice, and none before the one ahead of it has come. */
  #checkNoGap(found: readonly bigint[], wanted: readonly bigint[]): void {
    let next = 0;
    for (const at of found) {
      const place = wanted.indexOf(at);
      assert.ok(place >= 0 && place <= next, `event ${place} comes before event ${next}`);
      next = Math.max(next, place + 1);
    }
    assert.equal(next, wanted.length, "the last event has come");
  }
}

/** Its lanes go by keys alone: without `turn`, as in Kafka, where copied and streamed records of a key may lie side by side. */
const inOrderOfKeys = (log: MemoryLog): Pick<MemoryLog, "partition"> => ({
  partition: (name, index, reader) => {
    const partition = log.partition(name, index, reader);
    return {
      ...partition,
      async *read(offset, soft) {
        for await (const batch of partition.read(offset, soft)) yield { ...batch, turn: undefined };
      },
    };
  },
});

const hex = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString("hex");

/** Runs a schedule. The same schedule does the same, always. @throws where target, log or books are not what they must be */
export const simulateCapture = async (schedule: CaptureSchedule): Promise<void> => {
  await runRepeatably(new CaptureWorld(schedule));
};
