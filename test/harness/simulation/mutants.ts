/** Faults as they might be made: the simulation has to find each of them. `from` stands in the file once. */
export type Mutant = Readonly<{ name: string; of: "lanes" | "capture"; file: string; from: string; to: string }>;

const STEPS = "src/apply/pipeline/laneSteps.ts";
const COMMIT = "src/apply/lanes/laneCommit.ts";
const POSITIONS = "src/apply/lanes/lanePositions.ts";
const CLAIMS = "src/apply/lanes/claims.ts";
const CAPTURE = "src/source/capture/ownCapture.ts";
const POSITION = "src/source/capture/savedPosition.ts";

export const MUTANTS: readonly Mutant[] = [
  {
    name: "lanes are not inherited",
    ...{
      of: "capture",
      file: "src/apply/lanes/takeFromOwners.ts",
      from: "await takeFromOwner(records, place, captureEpoch);",
      to: "void takeFromOwner;",
    },
  },
  {
    name: "a batch that was interrupted counts as taken",
    ...{ of: "capture", file: CAPTURE, from: "if (!this.#isTaking) this.#position", to: "this.#position" },
  },
  {
    name: "a lane moves whatever its epoch",
    ...{ of: "lanes", file: POSITIONS, from: "record?.epoch !== lane.epoch", to: "record === undefined" },
  },
  {
    name: "a batch whose answer was lost is written again",
    ...{ of: "lanes", file: POSITIONS, from: "=== move.offset) return false;", to: "=== move.offset) return true;" },
  },
  {
    name: "the position goes before the documents",
    ...{
      of: "lanes",
      file: COMMIT,
      from: "await positions.isBefore(lane, move)",
      to: "await positions.move(lane, move, undefined)",
    },
  },
  {
    name: "documents are not part of the transaction",
    ...{ of: "lanes", file: COMMIT, from: "await write(tx);", to: "await write(undefined);" },
  },
  {
    name: "lanes are counted before they are fenced",
    ...{
      of: "lanes",
      file: CLAIMS,
      from: "this.#fence(won, won.slices,",
      to: "this.#fence(won, (await records.lowestOffset(won)) === undefined ? wanted : won.slices,",
    },
  },
  {
    name: "keys are spread over other lanes while these stand apart",
    ...{ of: "lanes", file: CLAIMS, from: "|| others.length > 0) return lanes;", to: ") return lanes; void others;" },
  },
  {
    name: "a replayed letter passes the drift gate by",
    ...{
      of: "lanes",
      file: STEPS,
      from: "drift === undefined ? completed : await drift.judgeAgain(completed)",
      to: "completed",
    },
  },
  {
    name: "a document that was looked up is not looked up again",
    of: "lanes",
    file: "src/apply/pipeline/lookup.ts",
    from: "const documents = new Map<string, Uint8Array>();",
    to: "const documents = (this.kept ??= new Map());",
  },
  {
    name: "a replayed letter passes the conflict gate by",
    ...{
      of: "lanes",
      file: "src/apply/pipeline/letterReplay.ts",
      from: "POSITIVE_INFINITY, planned, NONE_HELD);",
      to: "POSITIVE_INFINITY, planned);",
    },
  },
  {
    name: "a document that a look-up does not find is written as a delta",
    ...{
      of: "lanes",
      file: "src/apply/pipeline/lookup.ts",
      from: "if (doc === undefined) return",
      to: "if (doc === undefined) return entry; if (doc === undefined) return",
    },
  },
  {
    name: "an event does not wait behind a letter of its key",
    ...{ of: "lanes", file: "src/apply/plan/plan.ts", from: "return isHeld(key) ||", to: "return" },
  },
  {
    name: "the route's filter is left out",
    ...{
      of: "lanes",
      file: STEPS,
      from: "return shape === undefined ? entries : entries.map(shape);",
      to: "return entries;",
    },
  },
  {
    name: "the position of the stream is saved before its events are on the target",
    ...{ of: "capture", file: POSITION, from: "await output.settledTo(next.ends, hard, soon);", to: "" },
  },
  {
    name: "a range is done before its documents are on the target",
    ...{
      of: "capture",
      file: "src/source/copy/copy.ts",
      from: "await output.settledTo(output.ends(), hard, soon);",
      to: "",
    },
  },
  {
    name: "the stream begins where the copy ends",
    ...{
      of: "capture",
      file: CAPTURE,
      from: "await using stream = source.changes(this.#token);",
      to: "await source.resting.note(); await using stream = source.changes(this.#position.isMarked ? this.#token : (await source.changes(this.#token).next(1)).token);",
    },
  },
  {
    name: "a copy that is resumed takes offsets that lanes have passed",
    ...{ of: "capture", file: "src/process/run/topicStarts.ts", from: 'phase === "copy"', to: 'phase === "replacing"' },
  },
  {
    name: "what a spool has played is removed before its position is saved",
    ...{
      of: "capture",
      file: POSITION,
      from: "const next = this.#next;",
      to: "const next = this.#next; if (next !== undefined) await spool.release(next.played);",
    },
  },
];
