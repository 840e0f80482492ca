import { count, megabytes, wholeDuration } from "#base/flow/figures.ts";
import type { ScrapedCommand } from "#base/observe/metricCatalogue.ts";
import { OPLOG_FULL, OPLOG_OLDEST } from "#source/stream/oplogRoom.ts";
import { behindFact, fact, lettersFact, oplogFact } from "./facts.ts";
import type { Heard, HeardVitals } from "./heardVitals.ts";
import { Phases } from "./phase.ts";
import type { Fact, Picture } from "./picture.ts";

/** What `ferry run`, `capture` and `worker` show of their work: made of what they tell of themselves. */
export class WorkPicture {
  readonly #command: ScrapedCommand;
  readonly #vitals: HeardVitals;
  readonly #phases = new Phases();
  readonly #begunAt: number;
  /** The furthest that it was behind since it was last in step, ms. */
  #furthestMs = 0;
  /** What a copy of this process came to, for after it. */
  #copied: number | undefined;
  #last: Picture;
  #isOver = false;

  /** @param at ms */
  constructor(command: ScrapedCommand, vitals: HeardVitals, at: number) {
    this.#command = command;
    this.#vitals = vitals;
    this.#begunAt = at;
    this.#last = { title: `ferry ${command}`, facts: [], phases: [], parts: [], needs: [], columns: [] };
  }

  /** The work is over: what was seen last stays. */
  end(): void {
    this.#isOver = true;
  }

  /** @param at ms */
  at(at: number): Picture {
    const heard = this.#vitals.hear();
    const age = fact(wholeDuration(at - this.#begunAt), "quiet");
    if (heard.hasParts && !this.#isOver) this.#last = this.#now(heard, at);
    const rest = fact(this.#isOver ? "stopped" : "starting, or waiting for a server", this.#isOver ? "quiet" : "warn");
    const facts = heard.hasParts && !this.#isOver ? this.#last.facts : [rest];
    return { ...this.#last, facts: [...facts, age] };
  }

  #now(heard: Heard, at: number): Picture {
    if (this.#command === "worker") this.#applying(heard, at);
    else this.#capturing(heard, at);
    const halted = heard.labelsOf("ferry_route_halted").map(({ route }) => `${route} is halted: \`ferry status\``);
    const letters = heard.sum("ferry_dead_letter_documents") ?? 0;
    return {
      title: `ferry ${this.#command}`,
      facts: [
        ...(heard.obstacles.length === 0 ? this.#state(heard) : []),
        ...heard.obstacles.map((text) => fact(text, "warn")),
      ],
      phases: this.#phases.all,
      parts: this.#parts(heard, letters),
      needs: [...halted, ...(letters > 0 ? ["decide on the dead letters: `ferry dlq list`"] : [])],
      columns: [],
    };
  }

  #state(heard: Heard): readonly Fact[] {
    const [phase] = heard.labelsOf("ferry_capture_phase");
    return [fact(phase?.["phase"] ?? "applying", "good")];
  }

  /** Copy, then stream: how much of what it was behind at most is caught up with. */
  #capturing(heard: Heard, at: number): void {
    const phase = heard.labelsOf("ferry_capture_phase")[0]?.["phase"];
    const copied = heard.sum("ferry_copied_documents");
    const [noun, isOver] = ["documents", phase === "stream"];
    if (copied !== undefined) this.#copied = copied;
    if (copied !== undefined && phase === "copy") {
      const total = heard.sum("ferry_copy_estimated_documents");
      const [done, ranges] = [heard.sum("ferry_copy_done_ranges") ?? 0, heard.sum("ferry_copy_ranges") ?? 0];
      this.#phases.tell("copy", { done: copied, total, noun, note: `${done} of ${ranges} ranges` }, at);
    } else if (isOver && this.#copied !== undefined)
      this.#phases.tell("copy", { done: this.#copied, noun, isOver }, at);
    if (isOver) this.#streaming(heard, at);
  }

  #streaming(heard: Heard, at: number): void {
    const lagMs = (heard.sum("ferry_capture_lag_seconds") ?? 0) * 1000;
    this.#furthestMs = lagMs < IN_STEP_MS ? 0 : Math.max(this.#furthestMs, lagMs);
    const done = heard.sum("ferry_captured_events_total") ?? 0;
    this.#phases.tell("stream", { done, noun: "changes" }, at);
    if (this.#furthestMs === 0) this.#phases.forget("catch up");
    else {
      const seconds = { done: (this.#furthestMs - lagMs) / 1000, total: this.#furthestMs / 1000, noun: "s behind" };
      this.#phases.tell("catch up", seconds, at);
    }
  }

  /** A worker's bar: of what it has read, and what waits for it. */
  #applying(heard: Heard, at: number): void {
    const done = settledOf(heard);
    const waiting = heard.sum("ferry_waiting_records") ?? 0;
    const [total, noun] = [done + waiting, "records"];
    this.#phases.tell("apply", waiting === 0 ? { done, noun } : { done, total, noun }, at);
  }

  #parts(heard: Heard, letters: number): Picture["parts"] {
    const target = { name: this.#command === "capture" ? "Kafka" : "target", facts: this.#targetFacts(heard, letters) };
    return [target, { name: "source", facts: sourceFacts(heard) }].filter(({ facts }) => facts.length > 0);
  }

  #targetFacts(heard: Heard, letters: number): readonly Fact[] {
    const isCapture = this.#command === "capture";
    const ofLanes = this.#command === "worker" ? heard.most("ferry_lag_seconds") : undefined;
    const seconds = heard.most("ferry_capture_lag_seconds") ?? ofLanes;
    const share = heard.sum("ferry_throttle_ratio", ({ side }) => side === "target") ?? 1;
    const partitions = heard.sum("ferry_held_partitions");
    return [
      ...(seconds === undefined ? [] : [behindFact(seconds * 1000)]),
      ...(isCapture ? [] : [fact(`${count(settledOf(heard), "event")} settled`)]),
      ...(this.#command === "worker" && partitions !== undefined ? [fact(count(partitions, "partition"))] : []),
      ...(isCapture ? [] : [lettersFact(letters)]),
      ...throttleFacts(share),
    ];
  }
}

const throttleFacts = (share: number): readonly Fact[] =>
  share >= 1 ? [] : [fact(`throttled to ${Math.round(share * 100)} %`, "warn")];

const sourceFacts = (heard: Heard): readonly Fact[] => {
  const [fill, window, left] = [
    heard.most("ferry_oplog_fill_ratio") ?? 0,
    heard.most("ferry_oplog_window_seconds") ?? 0,
    heard.most("ferry_oplog_left_seconds"),
  ];
  const spool = heard.most("ferry_spool_bytes") ?? 0;
  return [
    ...(left === undefined || fill < OPLOG_FULL ? [] : [oplogFact(left, left <= window * OPLOG_OLDEST)]),
    ...(spool > 0 ? [fact(`${megabytes(spool)} spooled`, "quiet")] : []),
    ...throttleFacts(heard.sum("ferry_throttle_ratio", ({ side }) => side === "source") ?? 1),
  ];
};

/** Nearer than this it is in step: no bar for it, ms. */
const IN_STEP_MS = 5000;

const settledOf = (heard: Heard): number => heard.sum("ferry_events_total") ?? 0;
