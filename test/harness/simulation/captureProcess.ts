import { inheritLanes } from "#apply/lanes/takeFromOwners.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { pauseFor } from "#base/flow/every.ts";
import { TaskGroup } from "#base/flow/taskGroup.ts";
import type { Logger } from "#base/observe/log.ts";
import { NO_VITALS } from "#base/observe/vitals.ts";
import type { CaptureOutput } from "#io/log/captureOutput.ts";
import { MemoryLog } from "#io/log/memoryLog.ts";
import type { CapturedRecord } from "#io/wire/captured.ts";
import { topicStarts } from "#process/run/topicStarts.ts";
import type { CaptureRecord } from "#source/capture/captureStore.ts";
import { OwnCapture } from "#source/capture/ownCapture.ts";
import { Scope } from "#source/stream/scope.ts";
import { MemoryCaptureBook } from "../memory/captureBook.ts";
import { MemoryCaptureSource, type MemorySource } from "../memory/captureSource.ts";
import { MemoryClaimRecords } from "../memory/claims.ts";
import { MemoryClient, type MemoryDatabase } from "../memory/database.ts";
import { MemorySpool, type SpoolFiles } from "../memory/spool.ts";
import { lanesOf } from "../memory/state.ts";
import type { CaptureSchedule } from "./captureSchedule.ts";
import type { SimulatedProcess } from "./process.ts";
import { ROUTE, SimulatedWorker } from "./worker.ts";

/** What all processes of a schedule share. */
export type CaptureSurroundings = Readonly<{
  schedule: CaptureSchedule;
  source: MemorySource;
  db: MemoryDatabase;
  files: SpoolFiles;
  /** The one that outlives processes; undefined where each has its own. */
  log: MemoryLog | undefined;
  /** Told of everything that is captured, when it has its place, by the owner of this epoch. */
  onAppend: (records: readonly CapturedRecord[], epoch: number) => void;
  /** A process has claimed the capture, and has not begun to work. */
  onClaim: (by: SimulatedRun) => void;
  /** Told of the end of the copy, when it is saved. */
  onCopied: () => void;
}>;

const silent: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** How long a process rests before it claims again, and how long it may be silent, ms. */
const AGAIN_MS = 400;
const LEASE_MS = 3000;

const READER = { readersOf: () => [ROUTE] };

const passes = (error: unknown): boolean =>
  isFerry(error) &&
  (error.entry.retry === "backoff" || error.code === "FERRY_FENCED" || error.code === "FERRY_STOPPED");

/** `ferry run`, or `ferry capture`: the capture, and the lanes where the log lies in the same process. */
export class SimulatedRun {
  readonly process: SimulatedProcess;
  readonly #name: string;
  readonly #around: CaptureSurroundings;
  readonly #client: MemoryClient;
  readonly #soft = new AbortController();
  #isAtWork = false;

  constructor(name: string, process: SimulatedProcess, around: CaptureSurroundings) {
    this.process = process;
    this.#name = name;
    this.#around = around;
    this.#client = new MemoryClient(around.db, process.step);
  }

  /** Has it claimed the capture? */
  get isAtWork(): boolean {
    return this.#isAtWork;
  }

  get hasStopped(): boolean {
    return this.#soft.signal.aborted;
  }

  stop(): void {
    this.#soft.abort(new FerryError("FERRY_STOPPED", "asked to stop"));
  }

  /** Captures whenever it owns the capture, until it is stopped. @throws what no process may meet */
  async run(): Promise<void> {
    const book = new MemoryCaptureBook(this.#client, this.#name, LEASE_MS);
    book.onCopied = this.#around.onCopied;
    while (!this.#soft.signal.aborted) {
      try {
        if (await book.claim()) {
          this.#around.onClaim(this);
          this.#isAtWork = true;
          await this.#session(book);
          await book.release();
        }
      } catch (error) {
        if (!passes(error)) throw error;
      } finally {
        this.#isAtWork = false;
      }
      await pauseFor(this.process.clock, AGAIN_MS, this.#soft.signal);
    }
  }

  async #session(book: MemoryCaptureBook): Promise<void> {
    const record = await book.read();
    if (record === undefined) return;
    const { schedule, log: lasting } = this.#around;
    const log = lasting ?? new MemoryLog({ id: record.id, limitBytes: schedule.budgetBytes, ...READER });
    const captureEpoch = book.epoch;
    if (lasting === undefined) await inheritLanes(new MemoryClaimRecords(this.#client), captureEpoch);
    const startOf = topicStarts(record, await lanesOf(this.#client, ROUTE));
    const output = this.#output(log, captureEpoch, lasting === undefined ? startOf : undefined);
    for (const { name } of record.topics) await output.open(name);
    const capture = this.#capture(book, record, output);
    await using tasks = new TaskGroup();
    const worker = lasting === undefined ? this.#worker(log, captureEpoch) : undefined;
    tasks.signal.addEventListener("abort", () => worker?.end(), { once: true });
    tasks.run(async () => {
      await capture.run(this.#soft.signal, tasks.signal);
      worker?.stop();
    });
    if (worker !== undefined) tasks.run(() => worker.run(false));
    await tasks.settled();
  }

  /** @param startOf undefined where the log outlives this process: then nothing has to settle */
  #output(log: MemoryLog, epoch: number, startOf: ReturnType<typeof topicStarts> | undefined): CaptureOutput {
    const { step } = this.process;
    const { onAppend } = this.#around;
    return {
      open: async (topic) => {
        if (startOf !== undefined) log.open(topic, startOf(topic));
      },
      append: async (topic, records, bytes, signal) => {
        await step();
        await log.append(topic, records, startOf === undefined ? 0 : bytes, signal);
        onAppend(records, epoch);
        await step();
      },
      ends: () => log.ends(),
      settledTo: async (ends, signal, soon) => {
        if (startOf === undefined) await step();
        else await log.settledTo(ends, signal, soon);
      },
    };
  }

  #capture(book: MemoryCaptureBook, record: CaptureRecord, output: CaptureOutput): OwnCapture {
    const { schedule, source, files } = this.#around;
    const { clock, step } = this.process;
    return new OwnCapture({
      source: new MemoryCaptureSource(source, clock, step),
      store: book,
      record,
      scope: new Scope({ include: [ROUTE], exclude: [] }, "ferry"),
      output,
      readers: schedule.readers,
      leaseMs: LEASE_MS,
      spool: {
        mode: schedule.spools ? "always" : "never",
        open: async (_owner, from) => new MemorySpool(files, from, schedule.spoolBytes, step),
      },
      leftovers: undefined,
      wish: { draining: new AbortController().signal, onSaved: () => undefined },
      clock,
      logger: silent,
      vitals: NO_VITALS,
    });
  }

  #worker(log: MemoryLog, captureEpoch: number): SimulatedWorker {
    const { schedule, db } = this.#around;
    return laneWorker(this.#name, this.process, schedule, db, log, captureEpoch);
  }
}

/** The lanes of a process: of `ferry run`, or of a worker beside `ferry capture`. */
export const laneWorker = (
  name: string,
  process: SimulatedProcess,
  { slices, budgetBytes }: CaptureSchedule,
  db: MemoryDatabase,
  log: Pick<MemoryLog, "partition">,
  captureEpoch?: number,
): SimulatedWorker =>
  new SimulatedWorker(name, slices, process, {
    mode: "transactional",
    route: { source: "none", policy: "mirror", drift: "none", filter: "none" },
    hasCopy: true,
    source: { read: () => [] },
    batchCount: 3,
    budgetBytes,
    db,
    log,
    refusesBad: () => false,
    onClaim: () => undefined,
    captureEpoch,
  });
