import assert from "node:assert/strict";
import { BSON } from "bson";
import { type DeadLetterRecord, identityText, type LetterState } from "#apply/deadletter/letterRecords.ts";
import { takeFromOwners } from "#apply/lanes/takeFromOwners.ts";
import { identityOf } from "#base/bson/identity.ts";
import { isFerry } from "#base/errors/ferryError.ts";
import { imbalance } from "#base/flow/types.ts";
import { MemoryLog } from "#io/log/memoryLog.ts";
import { seeded } from "#tools/workload/people.ts";
import { MemoryClaimRecords } from "../memory/claims.ts";
import { MemoryClient, MemoryDatabase } from "../memory/database.ts";
import { MemoryDrift } from "../memory/drift.ts";
import { FakeClock } from "../memory/fakeClock.ts";
import { MemoryConflicts } from "../memory/foreign.ts";
import { documentKeyIn } from "../memory/memorySink.ts";
import { lanesOf, MemoryLetters, offsetOf } from "../memory/state.ts";
import { Model, type TargetFields } from "./model.ts";
import { runRepeatably, SimulatedProcess } from "./process.ts";
import { PLAIN } from "./route.ts";
import { KEYS, type Schedule, type Step } from "./schedule.ts";
import { Services, withoutOwn } from "./services.ts";
import { keyOf, Source } from "./source.ts";
import { ROUTE, SimulatedWorker } from "./worker.ts";

/** Documents of one chunk of the copy. */
const CHUNK = 2;
/** Whatever is left to do takes no longer than this, ms: less than a transaction that none ends blocks others. */
const LIMIT_MS = 40_000;

/** What every document has in the end: no value that a service writes. */
const LAST = { a: -7, bad: false, b: 8, c: 9 };

/** An operator takes so long for a decision, ms. */
const DECIDING_MS = 50;

/** By then every process knows what operators have decided, ms. */
const SETTLED_MS = 3000;

const forever = new AbortController().signal;

const numbers = new Map(Array.from({ length: KEYS }, (_, key) => [identityOf(keyOf(key)), key]));

/** One schedule: a source, a log, a target, ferry's database, and the processes that come and go between them. */
class World {
  readonly #schedule: Schedule;
  readonly #random: () => number;
  readonly #clock = new FakeClock();
  readonly #db = new MemoryDatabase(() => this.#clock.now());
  readonly #log = new MemoryLog({ id: "simulated", limitBytes: Number.MAX_SAFE_INTEGER, readersOf: () => [ROUTE] });
  readonly #source = new Source();
  readonly #model: Model;
  readonly #services: Services;
  readonly #observer = new MemoryClient(this.#db);
  readonly #records = new MemoryClaimRecords(this.#observer);
  readonly #drift = new MemoryDrift(this.#observer);
  readonly #letters = new MemoryLetters(this.#observer, this.#clock);
  readonly #workers: SimulatedWorker[] = [];
  readonly #discarded = new Set<number>();
  #refusesBad = true;
  #failure: unknown;

  constructor(schedule: Schedule) {
    this.#schedule = schedule;
    this.#random = seeded(schedule.seed);
    this.#model = new Model(schedule.route, this.#source.meanings);
    this.#services = new Services(schedule.route.policy, this.#observer);
    this.#log.open(ROUTE, { first: 0, next: 0, high: 0 });
  }

  readonly random = (): number => this.#random();

  async run(): Promise<void> {
    try {
      await this.#records.register(ROUTE, ROUTE, this.#schedule.slices);
      this.#start(this.#schedule.slices, false);
      await this.#copy();
      for (const step of this.#schedule.steps) await this.#do(step);
      for (const worker of this.#workers) worker.process.revive();
      await this.#drain();
      await this.#check(false);
      // Those that came back late have done what they could.
      for (const worker of this.#workers) if (worker !== this.#current) worker.process.kill();
      this.#refusesBad = false;
      await this.#replayAll();
      await this.#drain();
      await this.#check(true);
      if (this.#schedule.route !== PLAIN && !this.#source.isSwitched) await this.#epilogue();
    } finally {
      for (const worker of this.#workers) worker.process.kill();
    }
  }

  get #current(): SimulatedWorker {
    return this.#workers.findLast(({ isWorking }) => isWorking) ?? (this.#workers.at(-1) as SimulatedWorker);
  }

  #start(slices: number, takesOver: boolean): void {
    const { mode, route, batchCount, budgetBytes } = this.#schedule;
    const around = {
      ...{
        mode,
        route,
        hasCopy: this.#schedule.copied.length > 0,
        source: this.#source,
        batchCount,
        budgetBytes,
        db: this.#db,
        log: this.#log,
      },
      refusesBad: () => this.#refusesBad,
      onClaim: (by: SimulatedWorker) => this.#claimed(by),
    };
    const worker = new SimulatedWorker(
      `worker-${this.#workers.length}`,
      slices,
      new SimulatedProcess(this.#clock, this.random),
      around,
    );
    this.#workers.push(worker);
    worker.run(takesOver).catch((error: unknown) => {
      if (route.drift === "stop" && isFerry(error, "FERRY_DRIFT_STOP")) this.#goOn(slices).catch(this.#fail);
      else this.#fail(error);
    });
  }

  readonly #fail = (error: unknown): void => {
    this.#failure ??= error;
  };

  /** An operator sees why the route has stopped, decides, and starts it again. */
  async #goOn(slices: number): Promise<void> {
    await this.#clock.sleep(DECIDING_MS);
    for (const { path, outcome, baseline } of await this.#drift.read(ROUTE)) {
      if (outcome !== "stop" || this.#model.isDecided(path)) continue;
      assert.ok(!baseline && this.#model.newFields.includes(path), `${path} is no news`);
      // One that no rule can leave out, or that a row filter looks at, is let through.
      const verdict = path.startsWith("$") || path === "a" || this.random() < 0.5 ? "pass" : "drop";
      this.#model.decide(path, verdict);
      await this.#drift.decide(ROUTE, path, null, verdict);
    }
    this.#start(slices, false);
  }

  /** Without transactions nothing stops a former owner that still writes: there it is known to be dead. */
  #takeOver(slices: number): void {
    if (this.#schedule.mode !== "transactional") for (const worker of this.#workers) worker.process.kill();
    this.#start(slices, true);
  }

  /** Likewise a process whose lease has run out. */
  #claimed(by: SimulatedWorker): void {
    if (this.#schedule.mode === "transactional") return;
    for (const worker of this.#workers) if (worker !== by && worker.isWorking) worker.process.kill();
  }

  async #pass(ms: number): Promise<void> {
    await this.#clock.pass(ms);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** The stream begins when all that was copied is on the target. */
  async #copy(): Promise<void> {
    const { copied, duringCopy } = this.#schedule;
    const troubles = [...duringCopy];
    for (let from = 0; from < copied.length; from += CHUNK) {
      const now = this.#clock.now();
      const chunk = copied
        .slice(from, from + CHUNK)
        .map(({ bad, more }, i) => this.#source.copied(from + i, bad, more, now));
      await this.#log.append(ROUTE, chunk, 0, forever);
      const trouble = troubles.shift();
      if (trouble !== undefined) await this.#do(trouble);
    }
    for (const trouble of troubles) await this.#do(trouble);
    if (copied.length === 0) return;
    await this.#drain();
    await this.#toldOfCopy();
  }

  /** A capture streams once the lanes themselves have told it that all is there: their commits have been answered by then. */
  async #toldOfCopy(): Promise<void> {
    const told = { is: false };
    void this.#log.settledTo(this.#log.ends(), forever).then(() => {
      told.is = true;
    });
    for (let waited = 0; !told.is; waited++) {
      assert.ok(waited < LIMIT_MS, "no lane tells that the copy is there");
      await this.#pass(1);
    }
  }

  async #do(step: Step): Promise<void> {
    switch (step.do) {
      case "rest":
        return this.#pass(step.ms);
      case "fault":
        return this.#current.process.arm(step.fault, step.after);
      case "takeover":
        return this.#takeOver(step.slices);
      case "standby":
        return this.#start(step.slices, false);
      case "revive":
        return this.#workers.find(({ process }) => process.isFrozen)?.process.revive();
      case "stop":
        return this.#current.stop();
      case "switch":
        return this.#switchOver();
      case "decide":
        return this.#decide(step);
      case "accept":
        this.#model.decide(step.field, step.verdict);
        return this.#drift.decide(ROUTE, step.field, null, step.verdict);
      case "foreign":
        return this.#services.write(step);
      case "drop":
        // Where the target has writers of its own, a drop is a question to the operator.
        if (this.#schedule.route.policy === "mirror") await this.#append(this.#source.step(step));
        return;
      default:
        await this.#append(this.#source.step(step));
    }
  }

  async #append(value: Uint8Array | null | undefined): Promise<void> {
    if (value === undefined) return;
    const record = { key: null, value, offset: 0, timestampMs: this.#clock.now() };
    await this.#log.append(ROUTE, [record], 0, forever);
  }

  /** What works meanwhile, or is frozen, does not know of it but by its epoch. */
  async #switchOver(): Promise<void> {
    // What is looked up then may have been carried back, and the target's services are not those of before.
    if (this.#schedule.route.source !== "none" || this.#schedule.route.policy !== "mirror") return;
    await this.#drain();
    // In the steps of `switchRoutes`: noted, then fenced.
    await this.#records.note(ROUTE, { switchedAt: this.#source.switchOver() });
    await takeFromOwners(this.#records, ROUTE);
    if (this.#schedule.mode !== "transactional") this.#takeOver(this.#schedule.slices);
  }

  /**
   * Only the first letter of a key is discarded, and none that waits behind another: one that goes along with a replay may be
   * applied at this moment, and the model could not tell which of both came first.
   */
  async #decide({ letter: n, state }: Step & { do: "decide" }): Promise<void> {
    const letters = await this.#letters.of(ROUTE, 0);
    const letter = letters[n % Math.max(1, letters.length)];
    if (letter === undefined || letter.state !== "waiting") return;
    if (state === "discard") {
      const isFirst = !letters.some((one) => offsetOf(one) < offsetOf(letter) && isSameKey(one, letter));
      if (!isFirst || letter.code === "FERRY_APPLY_BEHIND") return;
    }
    if ((await this.#isDecided(letter._id, state)) && state === "discard") this.#discarded.add(offsetOf(letter));
  }

  /** False where a transaction has the letter at this moment: an operator would have to wait for it. */
  async #isDecided(id: string, state: LetterState): Promise<boolean> {
    try {
      await this.#letters.decide(id, state);
      return true;
    } catch (error) {
      if (!isFerry(error, "FERRY_MONGO_TRANSIENT")) throw error;
      return false;
    }
  }

  /** New fields that hold documents back are let through first: these could not be replayed otherwise. */
  async #replayAll(): Promise<void> {
    const { drift } = this.#schedule.route;
    const isInTheWay = (field: string): boolean =>
      drift === "hold" || (drift === "drop-and-report" && field.startsWith("$"));
    const later = Object.entries(LAST).filter(([name, value]) => this.#model.isNew(name, value));
    for (const field of new Set([...this.#model.newFields, ...later.map(([name]) => name)].filter(isInTheWay))) {
      this.#model.decide(field, "pass");
      await this.#drift.decide(ROUTE, field, null, "pass");
    }
    for (const { _id } of await this.#letters.of(ROUTE, 0))
      while (!(await this.#isDecided(_id, "replay"))) await this.#pass(1000);
  }

  /** Everything goes well from now on, until nothing is left to do. */
  async #drain(): Promise<void> {
    for (const worker of this.#workers) worker.process.disarm();
    this.#takeOver(1 + Math.floor(this.random() * 3));
    for (let waited = 0; !(await this.#isDrained()); waited += 500) {
      assert.ok(waited < LIMIT_MS, `it stands still: ${JSON.stringify(await this.#places())}`);
      await this.#pass(500);
    }
  }

  async #lanes(): ReturnType<typeof lanesOf> {
    const [partition] = await this.#records.partitionsOf(ROUTE);
    return (await lanesOf(this.#observer, ROUTE)).filter(({ slice }) => slice < (partition?.slices ?? 0));
  }

  async #places(): Promise<unknown> {
    const letters = await this.#letters.of(ROUTE, 0);
    return {
      end: this.#source.meanings.length,
      lanes: (await this.#lanes()).map(({ id, offset, epoch }) => ({ id, offset, epoch })),
      letters: letters.map(({ _id, state, code }) => ({ _id, state, code })),
    };
  }

  async #isDrained(): Promise<boolean> {
    const lanes = await this.#lanes();
    if (lanes.length === 0 || lanes.some(({ offset }) => offset !== this.#source.meanings.length)) return false;
    const letters = await this.#letters.of(ROUTE, 0);
    // A decision on a letter behind one that waits is carried out when that one is gone.
    return letters.every(
      (letter, i) => letter.state === "waiting" || letters.slice(0, i).some((one) => isSameKey(one, letter)),
    );
  }

  /** Also what the target's own version won over. */
  #mayVanish(offset: number, identity: string): boolean {
    const key = numbers.get(identity) ?? -1;
    return this.#model.mayVanish(offset) || this.#services.touchOf(key) !== undefined;
  }

  /** @param isReplayed has every letter been replayed that can be? */
  async #check(isReplayed: boolean): Promise<void> {
    const letters = await this.#letters.of(ROUTE, 0);
    const there = new Set(letters.map(offsetOf));
    const first = firstLetters(letters);
    for (const letter of letters) this.#checkLetter(letter, first, isReplayed);
    for (const offset of this.#discarded) assert.ok(!there.has(offset), `letter ${offset} was discarded`);
    // Later events of a key wait behind its first letter, all of them.
    for (const [offset, { identity }] of this.#source.meanings.entries())
      if (identity !== undefined && offset >= (first.get(identity) ?? Number.POSITIVE_INFINITY))
        assert.ok(
          there.has(offset) || this.#discarded.has(offset) || this.#mayVanish(offset, identity),
          `event ${offset} has overtaken a letter of its key`,
        );
    this.#checkDocuments(first);
    await this.#checkBooks(letters.length);
  }

  #checkLetter(letter: DeadLetterRecord, first: ReadonlyMap<string, number>, isReplayed: boolean): void {
    const offset = offsetOf(letter);
    const isHead = letter.identity === null || first.get(identityText(letter.identity)) === offset;
    if (letter.code === "FERRY_APPLY_BEHIND")
      assert.ok(!(isHead && isReplayed), `letter ${letter._id} waits behind nothing`);
    else
      assert.ok(
        this.#model.mayBeDead(offset),
        `letter ${letter._id} (${letter.code}) is of an event that can be applied`,
      );
    if (isReplayed && isHead)
      assert.ok(this.#model.isHopeless(offset), `letter ${letter._id} (${letter.code}) could be replayed`);
  }

  #checkDocuments(first: ReadonlyMap<string, number>): void {
    for (const [identity, key] of numbers) {
      const letter = first.get(identity);
      // Without transactions a refused batch leaves parts of it, so that a document may be ahead of its letters.
      if (letter !== undefined && this.#schedule.mode !== "transactional") continue;
      const found = this.#found(key);
      const touch = this.#services.touchOf(key);
      if (touch?.isStranger === true) continue;
      const fields = touch === undefined ? found : withoutOwn(found);
      const isLeftOut = (offset: number): boolean =>
        this.#discarded.has(offset) || offset >= (letter ?? Number.POSITIVE_INFINITY);
      assert.ok(
        this.#model.allows(identity, fields, isLeftOut, touch !== undefined),
        `document ${key} is ${JSON.stringify(found)}`,
      );
    }
    this.#services.check((key) => this.#bytes(key));
  }

  #bytes(key: number): Uint8Array | undefined {
    return this.#db.look(documentKeyIn(ROUTE, keyOf(key)), undefined) as Uint8Array | undefined;
  }

  #found(key: number): TargetFields | undefined {
    const bytes = this.#bytes(key);
    if (bytes === undefined) return undefined;
    const { _id, ...fields } = BSON.deserialize(bytes);
    assert.equal(_id, key);
    return fields;
  }

  /** Each document once more, with every field: what is decided by now counts, and whose a document is. */
  async #epilogue(): Promise<void> {
    await this.#pass(SETTLED_MS);
    const held = firstLetters(await this.#letters.of(ROUTE, 0));
    const isHeld = (key: number): boolean => held.has(identityOf(keyOf(key)));
    const keys = [...numbers.values()];
    const hadOthers = keys.filter((key) => this.#services.meddle(key) && !isHeld(key));
    const from = this.#source.meanings.length;
    for (const key of keys) await this.#append(this.#source.put(key, LAST));
    await this.#drain();
    const conflicts = await new MemoryConflicts(this.#observer).all();
    for (const key of keys) {
      if (isHeld(key)) continue;
      const found = this.#found(key);
      const isOurs = this.#services.owns(key);
      const fields = this.#schedule.route.policy === "merge" ? this.#model.carried(withoutOwn(found), LAST) : found;
      if (isOurs) assert.deepEqual(fields, this.#model.targetOf(LAST), `document ${key} at the end`);
      const isConflict = conflicts.has(`${ROUTE}/0/${from + key}`);
      assert.ok(isConflict || (isOurs && !hadOthers.includes(key)), `no conflict of document ${key} is noted`);
    }
    this.#services.check((key) => this.#bytes(key));
    for (const { documentKey } of conflicts.values())
      assert.ok(
        this.#services.touchOf(BSON.deserialize(documentKey.buffer)["_id"]) !== undefined,
        "no conflict without another's write",
      );
    await this.#checkBooks((await this.#letters.of(ROUTE, 0)).length);
  }

  async #checkBooks(letters: number): Promise<void> {
    const lanes = await lanesOf(this.#observer, ROUTE);
    for (const { id, counts } of lanes) assert.equal(imbalance(counts), 0, `the books of ${id} balance`);
    const sum = (name: "received" | "dead"): number => lanes.reduce((all, { counts }) => all + counts[name], 0);
    assert.equal(sum("received"), this.#source.meanings.length, "each record is counted once");
    const dead = letters + this.#discarded.size;
    // Without transactions a letter may go before it is counted out.
    if (this.#schedule.mode === "standalone") assert.ok(sum("dead") >= dead, "all letters are counted");
    else assert.equal(sum("dead"), dead, "letters are counted once");
  }
}

const isSameKey = (one: DeadLetterRecord, other: DeadLetterRecord): boolean =>
  one.identity !== null && other.identity !== null && identityText(one.identity) === identityText(other.identity);

/** Offset of the first letter of each key that has some. */
const firstLetters = (letters: readonly DeadLetterRecord[]): ReadonlyMap<string, number> => {
  const first = new Map<string, number>();
  for (const letter of letters) {
    if (letter.identity === null || first.has(identityText(letter.identity))) continue;
    first.set(identityText(letter.identity), offsetOf(letter));
  }
  return first;
};

/** Runs a schedule. The same schedule does the same, always. @throws where target or books are not what the model says */
export const simulate = async (schedule: Schedule): Promise<void> => {
  await runRepeatably(new World(schedule));
};
