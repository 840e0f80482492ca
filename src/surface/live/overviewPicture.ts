import { count, duration, megabytes } from "#base/flow/figures.ts";
import { pauseOf } from "#cutover/machine/report.ts";
import type { Overview } from "#process/report/overview.ts";
import type { CaptureLine, LaneLine, WorkerLine } from "#process/report/status.ts";
import { OPLOG_FULL } from "#source/stream/oplogRoom.ts";
import { needsOf, stateOfAll } from "#surface/terminal/statusSummary.ts";
import { behindFact, fact, lettersFact, oplogFact } from "./facts.ts";
import { Phases } from "./phase.ts";
import type { Columns, Fact, Picture } from "./picture.ts";

const sumOf = <T>(all: readonly T[], of: (one: T) => number): number => all.reduce((sum, one) => sum + of(one), 0);

/** What `ferry status --watch` shows: the console's overview. */
export class OverviewPicture {
  readonly #phases = new Phases();

  /** @param at when it was read, ms */
  of(found: Overview, at: number): Picture {
    const { own, lanes } = found;
    if (own !== null) this.#copy(own, at);
    if (lanes.length > 0) this.#apply(found, at);
    this.#verify(found, at);
    return {
      title: "ferry status",
      facts: [fact(stateOfAll(found)), ...(found.lagMs === null ? [] : [behindFact(found.lagMs)])],
      phases: this.#phases.all,
      parts: [
        { name: "source", facts: sourceFacts(found) },
        { name: "target", facts: targetFacts(found) },
        { name: "people", facts: peopleFacts(found) },
      ].filter(({ facts }) => facts.length > 0),
      needs: needsOf(found).map(({ text }) => text),
      columns: [workerColumns(found.workers), laneColumns(lanes)],
    };
  }

  #copy({ phase, copied, documents, estimate, ranges, rangesDone }: CaptureLine, at: number): void {
    const [noun, total] = ["documents", estimate === null || estimate === 0 ? undefined : estimate];
    const note = `${rangesDone} of ${ranges} ranges`;
    if (phase === "copy") this.#phases.tell("copy", { done: copied, total, noun, note }, at);
    else if (documents > 0)
      this.#phases.tell("copy", { done: copied, total: documents, noun, isOver: copied >= documents }, at);
  }

  #apply({ lanes }: Overview, at: number): void {
    const done = sumOf(lanes, ({ counts }) => counts.received);
    const waiting = sumOf(lanes, ({ lag }) => lag);
    const [total, noun] = [done + waiting, "records"];
    this.#phases.tell("apply", waiting === 0 ? { done, noun } : { done, total, noun }, at);
  }

  #verify({ verification: { routes } }: Overview, at: number): void {
    const under = routes.filter(({ finishedAt }) => finishedAt === null);
    if (under.length === 0) {
      this.#phases.forget("verify");
      return;
    }
    const [done, total] = [sumOf(under, ({ rangesDone }) => rangesDone), sumOf(under, ({ ranges }) => ranges)];
    const note = `${count(sumOf(under, ({ documents }) => documents))} documents`;
    this.#phases.tell("verify", { done, total, noun: "ranges", note }, at);
  }
}

const sourceFacts = ({ own, connectors }: Overview): readonly Fact[] => {
  const captured = connectors.filter(({ status }) => status.type === "source");
  const oplog = own?.oplog ?? null;
  return [
    ...(own === null ? [] : [fact(own.owner === null ? "no process captures" : `captured by ${own.owner}`)]),
    ...captured.map(({ name, status }) => {
      const { state } = status.connector;
      return fact(`${name} ${state}`, state === "RUNNING" ? "good" : "bad");
    }),
    ...(oplog === null || oplog.fill < OPLOG_FULL ? [] : [oplogFact(oplog.leftSeconds, oplog.short)]),
    ...(own?.spool == null ? [] : [fact(`${megabytes(own.spool.bytes)} spooled`, "quiet")]),
  ];
};

const targetFacts = ({ lanes, letters, halted }: Overview): readonly Fact[] => {
  const unbalanced = lanes.filter(({ imbalance }) => imbalance !== 0).length;
  const [applied, filtered] = [
    sumOf(lanes, ({ counts }) => counts.applied),
    sumOf(lanes, ({ counts }) => counts.filtered),
  ];
  const books =
    unbalanced === 0 ? fact("books balance", "good") : fact(`books of ${unbalanced} lanes do not balance`, "bad");
  return [
    ...(lanes.length === 0 ? [] : [fact(`${count(applied)} applied`), books]),
    lettersFact(sumOf(letters, (one) => one.letters)),
    ...(halted.length === 0 ? [] : [fact(`${count(halted.length, "route")} halted`, "bad")]),
    ...(filtered === 0 ? [] : [fact(`${count(filtered)} filtered`, "quiet")]),
  ];
};

/** What people look at before they switch over. */
const peopleFacts = ({ verification, cutover, drift, conflicts }: Overview): readonly Fact[] => {
  const { routes } = verification;
  const wrong = sumOf(routes, (route) => route.wrong);
  const finished = routes.filter(({ finishedAt }) => finishedAt !== null).length;
  const verified = `verified ${finished} of ${count(routes.length, "route")}, ${wrong === 0 ? "nothing" : count(wrong)} wrong`;
  const disputed = sumOf(conflicts, (one) => one.count);
  return [
    routes.length === 0 ? fact("not verified yet", "quiet") : fact(verified, wrong === 0 ? "good" : "bad"),
    ...(drift === 0 ? [] : [fact(`${count(drift)} new fields or types`, "warn")]),
    ...(disputed === 0 ? [] : [fact(count(disputed, "conflict"), "warn")]),
    ...(cutover === null
      ? []
      : [fact(`cutover ${cutover._id}: ${cutover.state}, pause ${Math.round(pauseOf(cutover).ms)} ms`)]),
  ];
};

const workerColumns = (workers: readonly WorkerLine[]): Columns => ({
  title: "Workers",
  rows: [
    ["worker", "", "rate", "behind", "memory", "partitions"],
    ...workers.map(({ id, alive, seenMsAgo, report }) => [
      id,
      alive ? "alive" : `gone for ${duration(seenMsAgo)}`,
      `${count(report.appliedPerSecond)}/s`,
      report.lagMs === null ? "-" : duration(report.lagMs),
      `${count(report.rssMb)} MB`,
      String(report.partitions.length),
    ]),
  ],
});

/** Those with the most to do first. */
const laneColumns = (lanes: readonly LaneLine[]): Columns => ({
  title: "Lanes",
  rows: [
    ["lane", "waiting", "received", "applied", "dead", "owner"],
    ...lanes
      .toSorted((a, b) => b.lag - a.lag)
      .map(({ route, partition, slice, lag, counts, owner }) => [
        `${route} [${partition}]/${slice}`,
        count(lag),
        count(counts.received),
        count(counts.applied),
        count(counts.dead),
        owner ?? "no owner",
      ]),
  ],
});
