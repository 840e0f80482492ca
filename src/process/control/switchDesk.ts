import { hostname } from "node:os";
import { FerryError } from "#base/errors/ferryError.ts";
import type { FenceChoice } from "#cutover/fence/fence.ts";
import { mayHaveReleased } from "#cutover/machine/cutoverTable.ts";
import type { FenceKind, Watchman } from "#cutover/machine/parts.ts";
import type { CutoverRecord } from "#cutover/machine/record.ts";
import { requireOver } from "#cutover/machine/report.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { AuditLog, type Author } from "#process/steer/auditLog.ts";
import { finalizeRun } from "#process/switch/finalizeRun.ts";
import { Switchover, switchedText } from "#process/switch/switchover.ts";
import { type SwitchAddresses, type SwitchDeps, wireSwitch } from "#process/switch/switchWiring.ts";
import type { ControlServers } from "./cutoverReadiness.ts";
import { type DeskJob, Jobs, type JobWork } from "./jobs.ts";

/** Where one switch works; on the way back the sides are the other way round. */
export type SwitchPlaces = Readonly<{ target: MongoClient; state: StateDb; addresses: SwitchAddresses }>;

/** What a request may say of a cutover or rollback. */
export type SwitchRequest = Readonly<{
  /** Empty: everything. */
  named: readonly string[];
  fence: FenceKind | undefined;
  maxPauseMs: number;
  maxLagMs: number;
  accepted: readonly string[];
  verifyRest: boolean;
}>;

/** The same with its fence, which may be a command of this process's own flags. */
export type SwitchChosen = SwitchRequest &
  Readonly<{ how: FenceChoice; onRelease: string | undefined; isBack: boolean }>;

/** What this process was started with: no request gives a command, and each switch has connections of its own. */
export type SwitchFlags = Readonly<{
  /** What a request that names no fence gets. */
  fence: FenceChoice | undefined;
  /** Sends services over, and back. */
  onRelease: string | undefined;
  onReturn: string | undefined;
  /** @throws FERRY_USAGE, FERRY_MONGO_* */
  withPlaces: (isBack: boolean, work: (places: SwitchPlaces) => Promise<void>) => Promise<void>;
  /** The second process of a cutover with this number. */
  watchman: (chosen: SwitchChosen, id: number) => Watchman;
}>;

type SwitchAsked = Readonly<{ isBack: boolean; request: SwitchRequest; allowBoth?: boolean; by: Author }>;

type Direction = "cutover" | "rollback";
const directionOf = (isBack: boolean): Direction => (isBack ? "rollback" : "cutover");

/** Begins what the commands `cutover`, `rollback` and `finalize` do, and stays with it when the client has gone. */
export class SwitchDesk implements AsyncDisposable {
  readonly #servers: ControlServers;
  readonly #flags: SwitchFlags;
  readonly #jobs: Jobs;

  constructor(servers: ControlServers, { flags, signal }: Readonly<{ flags: SwitchFlags; signal: AbortSignal }>) {
    const { clock, logger } = servers;
    this.#servers = servers;
    this.#flags = flags;
    this.#jobs = new Jobs({ clock, logger, signal });
  }

  /** What was asked for last, by any client. */
  get last(): DeskJob | undefined {
    return this.#jobs.last;
  }

  rehearse(isBack: boolean, request: SwitchRequest, by: Author): Promise<DeskJob> {
    return this.#switch("rehearse", { isBack, request, by }, async (switchover) => {
      await switchover.rehearse();
    });
  }

  /** Asked for again, it is the same one, also when it has come to its end. */
  start(isBack: boolean, request: SwitchRequest, by: Author): Promise<DeskJob> {
    const chosen = this.#chosen(isBack, request);
    return this.#switch("", { isBack, request, by }, async (switchover, job) => {
      job.record = await switchover.already();
      job.record ??= await switchover.drive((id) => this.#flags.watchman(chosen, id));
      requireOver(job.record, directionOf(isBack));
    });
  }

  /** The one that is under way here is stopped, and goes back; otherwise as `ferry cutover --abort`. @throws FERRY_CUTOVER_RELEASED */
  async abort(
    isBack: boolean,
    { allowBoth, ...choice }: Pick<SwitchRequest, "named" | "fence"> & Readonly<{ allowBoth: boolean }>,
    by: Author,
  ): Promise<DeskJob> {
    const stopped = await this.#stop(directionOf(isBack), by);
    if (stopped !== undefined) return stopped;
    const request = { ...choice, maxPauseMs: 0, maxLagMs: 0, accepted: [], verifyRest: false };
    return this.#switch("abort", { isBack, request, allowBoth, by }, async (switchover, job) => {
      job.record = await switchover.abort(allowBoth);
    });
  }

  finalize(accepted: readonly string[], by: Author): Promise<DeskJob> {
    const { routes, clock, logger } = this.#servers;
    const said = (sentence: string): void => logger.info({ stage: "control" }, sentence);
    return this.#jobs.ask({ act: "finalize", on: "run", choice: accepted, by }, (_, { signal, shown }) =>
      this.#flags.withPlaces(false, async (places) => {
        const { writes } = await finalizeRun({
          ...places,
          ...{ routes, accepted, by, clock, logger, signal },
          say: (_seen, state) => {
            shown();
            said(`the run is ${state}`);
          },
          tell: said,
        });
        if (writes !== undefined) throw writes;
      }),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#jobs[Symbol.asyncDispose]();
  }

  async #stop(direction: Direction, by: Author): Promise<DeskJob | undefined> {
    const current = this.#jobs.current;
    if (current === undefined || ![direction, `${direction}.rehearse`].includes(current.act)) return undefined;
    const { record, on } = current;
    if (record !== undefined && mayHaveReleased(record.state))
      throw new FerryError("FERRY_CUTOVER_RELEASED", `${direction} ${record._id} is ${record.state}`);
    const before = { asked: current.act, state: record?.state ?? null };
    await new AuditLog(this.#servers.state).note(by, { action: `${direction}.abort`, on, before, after: "aborted" });
    return this.#jobs.stop(new FerryError("FERRY_CUTOVER_INTERRUPTED", `taken back by ${by.who}`));
  }

  #chosen(isBack: boolean, request: SwitchRequest): SwitchChosen {
    const { onRelease, onReturn } = this.#flags;
    return { ...request, isBack, how: this.#fence(request), onRelease: isBack ? onReturn : onRelease };
  }

  /** @throws FERRY_CONTROL_WITHOUT for a command that this process was not started with */
  #fence({ named, fence: kind }: Pick<SwitchRequest, "named" | "fence">): FenceChoice {
    const { fence: own } = this.#flags;
    if (kind === "hook") {
      if (own?.kind === "hook") return own;
      throw new FerryError("FERRY_CONTROL_WITHOUT", "this needs --fence hook:COMMAND");
    }
    if (kind !== undefined) return { kind };
    if (named.length > 0 && (own === undefined || own.kind === "user-write-block")) return { kind: "validator" };
    return own ?? { kind: "user-write-block" };
  }

  async #switch(
    what: "" | "rehearse" | "abort",
    { isBack, request, allowBoth = false, by }: SwitchAsked,
    use: (switchover: Switchover, job: DeskJob) => Promise<void>,
  ): Promise<DeskJob> {
    const direction = directionOf(isBack);
    const act = what === "" ? direction : (`${direction}.${what}` as const);
    const chosen = this.#chosen(isBack, request); // said before anything is connected
    const work: JobWork = (job, { signal, shown }) =>
      this.#flags.withPlaces(isBack, async ({ addresses, ...places }) => {
        const report = (record: CutoverRecord): void => {
          job.record = record;
          if (record.state !== "checking") shown(); // what is missing is the answer
          this.#servers.logger.info({ stage: "control" }, `${direction} ${record._id} is ${record.state}`);
        };
        const deps = this.#deps(chosen, { ...places, by, signal, report });
        await using parts = await wireSwitch(deps, addresses);
        await use(new Switchover(deps, parts), job);
      });
    return this.#jobs.ask({ act, on: switchedText(request.named), choice: { request, allowBoth }, by }, work);
  }

  #deps(
    { how, ...chosen }: SwitchChosen,
    own: Pick<SwitchDeps, "target" | "state" | "by" | "signal" | "report">,
  ): SwitchDeps {
    const { routes, clock, logger } = this.#servers;
    return {
      ...{ ...chosen, ...own, fence: how, routes, clock, logger },
      owner: `${hostname()}/${process.pid}`,
      tell: (sentence) => logger.info({ stage: "control" }, sentence),
      onRetry: (err) => logger.warn({ stage: "control", err }, "trying again"),
    };
  }
}
