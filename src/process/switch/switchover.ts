import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { lookUntil } from "#base/flow/lookUntil.ts";
import type { FenceChoice } from "#cutover/fence/fence.ts";
import { type CutoverStore, readSentOver } from "#cutover/machine/cutoverStore.ts";
import { isEnd, mayHaveReleased } from "#cutover/machine/cutoverTable.ts";
import { Machine, type MachineDeps } from "#cutover/machine/machine.ts";
import type { Parts, Watchman } from "#cutover/machine/parts.ts";
import { unready } from "#cutover/machine/readiness.ts";
import { type CutoverRecord, isSameScope, isSwitchedBy, type Seen } from "#cutover/machine/record.ts";
import { type RehearsalRecord, type Rehearsed, rehearse } from "#cutover/machine/rehearsal.ts";
import { switchedOver } from "#cutover/machine/switchedOver.ts";
import { watch } from "#cutover/machine/watch.ts";
import { waysOn } from "#cutover/machine/waysOn.ts";
import { readWhole } from "#cutover/parts/carriedRun.ts";
import { obstaclesBack } from "#route/table/reverseRoutes.ts";
import { clusterTime } from "#source/stream/sourceProbe.ts";
import { switchCommand } from "./switchCommand.ts";
import { LEASE_MS, type SwitchChoice, type SwitchDeps, type SwitchParts } from "./switchWiring.ts";

/** How often a cutover that another process has taken over is looked at, ms. */
const LOOK_MS = 100;

/** Where nothing is to be watched: without a fence, or in the second process itself. */
const NO_WATCHMAN: Watchman = { ready: async () => undefined };

/**
 * What a cutover of another process was fenced with. Its command is not in the record, and one that fails need not be the last word:
 * the operator gives another one, or has lifted the fence. @throws FERRY_CUTOVER_FENCE
 */
const fenceIn = ({ _id, fence: kind, entered }: CutoverRecord, given: FenceChoice): FenceChoice => {
  if (entered.fencing === undefined) return { kind: "none" };
  if (kind !== "hook") return { kind };
  if (given.kind === "hook" || given.kind === "none") return given;
  throw new FerryError(
    "FERRY_CUTOVER_FENCE",
    `cutover ${_id} is fenced by a command: give --fence hook:COMMAND again, or --fence none if you have lifted it by hand`,
  );
};

const released = ({ _id, state }: CutoverRecord): FerryError =>
  new FerryError("FERRY_CUTOVER_RELEASED", `cutover ${_id} is ${state}`);

/** As the audit log names it, and a request that asks for it. */
export const switchedText = (named: readonly string[]): string => (named.length === 0 ? "everything" : named.join(","));

/** What stands between now and a cutover, and what is known of it beforehand. */
export type SwitchReadiness = Readonly<{
  missing: readonly FerryError[];
  last: RehearsalRecord | undefined;
  noWayBack: readonly string[];
}>;

/** One use of `ferry cutover` or `ferry rollback`. */
export class Switchover {
  readonly #deps: SwitchDeps;
  readonly #parts: SwitchParts;
  readonly #store: CutoverStore;

  constructor(deps: SwitchDeps, parts: SwitchParts) {
    this.#deps = deps;
    this.#parts = parts;
    this.#store = parts.store;
  }

  /** What is missing, and what the last rehearsal measured. Writes nothing. */
  async ready(): Promise<SwitchReadiness> {
    const former = await this.#unfinished();
    const last = await this.#parts.rehearsals.last();
    if (former !== undefined) return { missing: [former], last, noWayBack: this.noWayBack };
    const parts = await this.#partsOf(this.#deps);
    const missing = await unready(parts);
    const capped = this.#deps.isBack ? [] : await parts.deferred.obstaclesBack();
    return { missing, last, noWayBack: [...this.noWayBack, ...capped] };
  }

  /** Why services could not be sent back, by the routes of what is switched over: a cutover of it is for good. */
  get noWayBack(): readonly string[] {
    const { isBack, named, routes } = this.#deps;
    if (isBack) return [];
    return obstaclesBack(routes?.filter(({ from }) => named.length === 0 || named.includes(from)) ?? []);
  }

  /** A cutover that has not come to its end comes first: what else is missing would be measured against its fence. */
  async #unfinished(): Promise<FerryError | undefined> {
    const former = await this.#latest();
    if (former === undefined || isEnd(former.record.state)) return undefined;
    const { record, free } = former;
    const who = free ? `no process drives it: ${waysOn(record, this.#command)}` : `${record.owner} drives it`;
    return new FerryError("FERRY_CUTOVER_ALIVE", `${this.#name} ${record._id} is ${record.state}, and ${who}`);
  }

  get #name(): "cutover" | "rollback" {
    return this.#deps.isBack ? "rollback" : "cutover";
  }

  get #command(): string {
    return switchCommand(this.#name, this.#deps.state.name);
  }

  /** Everything but the fence. @throws the first thing that is missing, FERRY_CUTOVER_PAUSE */
  async rehearse(): Promise<Rehearsed> {
    const { clock, signal, maxPauseMs } = this.#deps;
    await this.#note(`${this.#name}.rehearse`, "rehearsed");
    const { source, rehearsals } = this.#parts;
    const parts = await this.#partsOf(this.#deps);
    const [missing] = await unready(parts);
    if (missing !== undefined) throw missing;
    const now = async (): Promise<bigint> => (await clusterTime(source)).toBigInt();
    const remember = (laps: Rehearsed["parts"]): Promise<void> => rehearsals.underway(laps);
    const measured = await rehearse({ parts, now, remember, clock, signal, maxPauseMs });
    await rehearsals.note({ ...measured, namespaces: this.#deps.named });
    return measured;
  }

  /**
   * Switches over; one that a process has left behind is finished first.
   * @param watchman of the record with this number
   * @returns the record at its end
   * @throws FERRY_CUTOVER_ALIVE, FERRY_CUTOVER_FENCE, what an act throws that waits to be done again
   */
  async drive(watchman: (id: number) => Watchman): Promise<CutoverRecord> {
    const { fence: how, accepted, verifyRest } = this.#deps;
    const after = { fence: how.kind, maxPauseMs: this.#deps.maxPauseMs, accepted: [...accepted], verifyRest };
    await this.#note(this.#name, after);
    const finished = await this.#finishFormer();
    if (finished !== undefined) return finished;
    const { fence, named, maxPauseMs } = this.#deps;
    let watching: Watchman = NO_WATCHMAN;
    const parts = await this.#partsOf(this.#deps, { ready: () => watching.ready() });
    const begun = await this.#store.begin({ fence: fence.kind, namespaces: [...named], maxPauseMs });
    watching = watchman(begun.record._id);
    return this.#end(this.#machine(parts, begun), begun.record);
  }

  /**
   * What was asked for before and has come to its end: a request that is sent again begins no second one.
   * @returns undefined where services of these names do not write to the target yet
   */
  async already(): Promise<CutoverRecord | undefined> {
    const { named, state } = this.#deps;
    const record = (await this.#store.latest())?.record;
    if (record?.state !== "over" || !isSameScope(record, named)) return undefined;
    const names = named.length > 0 ? named : (await readWhole(state)).topics.map(({ name }) => name);
    return names.every(await switchedOver(state)) ? record : undefined;
  }

  /** The second process: until services no longer wait. */
  async watch(id: number): Promise<void> {
    await watch({ ...this.#machineDeps(await this.#partsOf(this.#deps)), id });
  }

  /**
   * Takes back what was begun, or lifts what is up.
   * @returns the record, undefined where only a fence was lifted
   * @throws FERRY_CUTOVER_RELEASED, FERRY_CUTOVER_ALIVE, FERRY_CUTOVER_NONE
   */
  async abort(allowBoth: boolean): Promise<CutoverRecord | undefined> {
    await this.#note(
      `${this.#name}.abort`,
      allowBoth ? "aborted, although services may write to both sides" : "aborted",
    );
    const last = (await this.#latest())?.record;
    if (last === undefined || isEnd(last.state) || last.state === "ending") return this.#liftLeft(allowBoth);
    if (mayHaveReleased(last.state) && !allowBoth) throw released(last);
    const parts = await this.#partsOf({ named: last.namespaces, fence: fenceIn(last, this.#deps.fence) });
    const mine = await this.#store.take(last, "lease");
    const machine = this.#machine(parts, mine);
    if (!mayHaveReleased(mine.record.state)) return machine.resume(mine.record);
    const refused = new FerryError("FERRY_CUTOVER_INTERRUPTED", "taken back by the operator");
    return machine.run(await this.#store.move(mine.record, { to: "lifting", lapMs: 0, refused }));
  }

  /** Lifts the fence that the newest cutover of these names stands behind; without one, the operator says which is meant. */
  async #liftLeft(allowBoth: boolean): Promise<undefined> {
    const { named, state } = this.#deps;
    const sent = (await readSentOver(state)).find(
      (record) => named.length === 0 || named.some((name) => isSwitchedBy(record, name)),
    );
    // Of these it cannot be seen whether they are up.
    if (sent !== undefined && ["hook", "none"].includes(sent.fence) && !allowBoth) throw released(sent);
    const choice = sent && {
      named: named.length === 0 ? sent.namespaces : named,
      fence: fenceIn(sent, this.#deps.fence),
    };
    const fence = this.#parts.fenceLeft(choice ?? this.#deps);
    const isUp = (await fence.unready()).some(({ code }) => code === "FERRY_CUTOVER_FENCED");
    if (!isUp && fence.kind !== "hook") throw new FerryError("FERRY_CUTOVER_NONE", "nothing is fenced");
    if (sent !== undefined && !allowBoth) throw released(sent);
    // One that has come to its end has lifted its own; what it has not raised is lifted on the operator's word alone.
    if (isUp && sent === undefined && !allowBoth)
      throw new FerryError(
        "FERRY_CUTOVER_FENCED",
        `no ${this.#name} of this --state-db left it; with --allow-both it is lifted`,
      );
    await fence.lift();
    return undefined;
  }

  /** The newest one. A process that was killed a moment ago still has its lease: whether it renews it is waited for. */
  async #latest(): Promise<Seen | undefined> {
    const { clock } = this.#deps;
    const since = clock.now();
    let isTold = false;
    const { found } = await lookUntil(LOOK_MS, this.#deps, async () => {
      const seen = await this.#store.latest();
      const isKnown = seen === undefined || seen.free || isEnd(seen.record.state);
      if (!isKnown && !isTold)
        this.#deps.tell(`looking whether ${seen.record.owner} still drives ${this.#name} ${seen.record._id}`);
      isTold ||= !isKnown;
      return (isKnown || clock.now() - since > 2 * LEASE_MS) && { found: seen };
    });
    return found;
  }

  /** @returns it, where services may have been sent to the target */
  async #finishFormer(): Promise<CutoverRecord | undefined> {
    const former = await this.#latest();
    if (former === undefined || isEnd(former.record.state)) return undefined;
    const mine = await this.#store.take(former.record, "lease");
    const { namespaces: named } = mine.record;
    const parts = await this.#partsOf({ named, fence: fenceIn(mine.record, this.#deps.fence) });
    const ended = await this.#machine(parts, mine).resume(mine.record);
    if (ended.state === "over") return ended;
    this.#deps.tell(`cutover ${ended._id} was left behind by a process that is gone; it was taken back`);
    return undefined;
  }

  /** Where the second process took it over, it comes to its end there. */
  async #end(machine: Machine, record: CutoverRecord): Promise<CutoverRecord> {
    try {
      return await machine.run(record);
    } catch (error) {
      if (!isFerry(error, "FERRY_CUTOVER_TAKEN")) throw error;
      return lookUntil(LOOK_MS, this.#deps, async () => {
        const now = (await this.#store.latest())?.record;
        if (now?._id !== record._id) throw error;
        return (isEnd(now.state) || now.state === "ending") && now;
      });
    }
  }

  /** Who asks, and how the newest one stands, before anything is done. */
  async #note(action: string, after: unknown): Promise<void> {
    const { by, named } = this.#deps;
    const before = (await this.#store.latest())?.record;
    await this.#parts.audit.note(by, {
      ...{ action, on: switchedText(named), after },
      before: before === undefined ? null : { cutover: before._id, state: before.state },
    });
  }

  #partsOf(choice: SwitchChoice, watchman: Watchman = NO_WATCHMAN): Promise<Parts> {
    return this.#parts.partsOf(choice, watchman);
  }

  #machineDeps(parts: Parts): MachineDeps & Readonly<{ memory: CutoverStore }> {
    const { clock, signal, report, onRetry } = this.#deps;
    const leaseMs = LEASE_MS;
    return { parts, memory: this.#store, leaseMs, command: this.#command, clock, signal, report, onRetry };
  }

  #machine(parts: Parts, seen: Seen): Machine {
    return new Machine(this.#machineDeps(parts), seen);
  }
}
