import { hash } from "node:crypto";
import { identityOf } from "#base/bson/identity.ts";
import { type Difference, differenceOf } from "./difference.ts";
import type { Expect, Suspect } from "./pairedRange.ts";

/** Documents by identity, as of one majority read. `at`: a clusterTime that the read is not older than. */
export type Versions = Readonly<{ documents: ReadonlyMap<string, Uint8Array>; at: bigint }>;

export type RecheckDeps = Readonly<{
  /** Reads by raw `{ _id }`s; never older than a read that was answered before. */
  readSource: (keys: readonly Uint8Array[]) => Promise<Versions>;
  readTarget: (keys: readonly Uint8Array[]) => Promise<Versions>;
  /** Everything that the source committed up to this clusterTime is on the target; undefined where nothing tells. */
  applied: () => Promise<bigint | undefined>;
  /**
   * Which of these did the source change after this clusterTime, up to its state at the last read? By identity. States tell too
   * little: a document that is deleted and inserted again may look unchanged.
   */
  changedSince: (keys: readonly Uint8Array[], at: bigint) => Promise<ReadonlySet<string>>;
  expect: Expect | undefined;
  does: ((expected: Uint8Array, actual: Uint8Array) => boolean) | undefined;
  /** Which of these are known to be missing or foreign for a named reason: dead letters, documents that the target keeps. */
  excused: (keys: readonly Uint8Array[]) => Promise<ReadonlySet<string>>;
  /** Where nothing tells how far the target is: a difference that stands still for so long is wrong, ms. */
  graceMs: number;
  now: () => number;
}>;

/** A difference that is no matter of time: everything up to the source's state has been applied, and the target is not there. */
export type Wrong = Readonly<{
  key: Uint8Array;
  identity: string;
  kind: "missing" | "extra" | "different";
  difference: Difference | undefined;
  /** A clusterTime of the source at which it held the state that the target has not. */
  since: bigint;
}>;

/** A suspect between two looks. */
type Pending = {
  readonly key: Uint8Array;
  /** Of what the target should hold, as last seen; undefined before the first look. */
  state: string | undefined;
  since: bigint;
  sinceMs: number;
};

const ABSENT = "absent";
const stateOf = (document: Uint8Array | undefined): string =>
  document === undefined ? ABSENT : hash("sha256", document, "base64");

/** Raw `{ _id }`s, by verdict. */
export type RoundResult = Readonly<{
  /** Found to be as they should be by now. */
  right: readonly Uint8Array[];
  /** Not as they should be for a reason that is on the books. */
  excused: readonly Uint8Array[];
  wrong: readonly Wrong[];
}>;

/**
 * Looks at suspects again until each is settled or wrong. A look reads the target first and the source after it. Where the source
 * has not changed the document since an earlier look, and everything up to that look had been applied before the target was read,
 * what the target lacks will not come by itself.
 */
export class Recheck {
  readonly #deps: RecheckDeps;
  readonly #pending = new Map<string, Pending>();

  constructor(deps: RecheckDeps) {
    this.#deps = deps;
  }

  /** How many wait for a verdict. */
  get size(): number {
    return this.#pending.size;
  }

  /** clusterTime of the oldest state that the target may still be on the way to; undefined where all were looked at for the first time. */
  get oldest(): bigint | undefined {
    let oldest: bigint | undefined;
    for (const { state, since } of this.#pending.values())
      if (state !== undefined && (oldest === undefined || since < oldest)) oldest = since;
    return oldest;
  }

  add(suspects: readonly Pick<Suspect, "key">[]): void {
    for (const { key } of suspects) {
      const identity = identityOf(key);
      if (!this.#pending.has(identity)) this.#pending.set(identity, { key, state: undefined, since: 0n, sinceMs: 0 });
    }
  }

  /** Looks once at up to `most` of them, those that wait longest first. @throws what the reads throw */
  async look(most: number): Promise<RoundResult> {
    const taken = [...this.#pending].slice(0, most);
    if (taken.length === 0) return { right: [], excused: [], wrong: [] };
    const keys = taken.map(([, { key }]) => key);
    const applied = await this.#deps.applied();
    const target = await this.#deps.readTarget(keys);
    const source = await this.#deps.readSource(keys);
    const wrong: Wrong[] = [];
    const right: Uint8Array[] = [];
    for (const [identity, pending] of taken) {
      this.#pending.delete(identity);
      const verdict = this.#judge(identity, pending, source, target.documents.get(identity), applied);
      if (verdict === "right") right.push(pending.key);
      else if (verdict === "waiting")
        this.#pending.set(identity, pending); // behind the others
      else wrong.push(verdict);
    }
    const proven = await this.#unchanged(wrong);
    if (proven.length === 0) return { right, excused: [], wrong: [] };
    const known = await this.#deps.excused(proven.map(({ key }) => key));
    const excused = proven.filter(({ identity }) => known.has(identity)).map(({ key }) => key);
    return { right, excused, wrong: proven.filter(({ identity }) => !known.has(identity)) };
  }

  /** Those that the source has left alone since; the others wait again. */
  async #unchanged(wrong: readonly Wrong[]): Promise<readonly Wrong[]> {
    const [first] = wrong;
    if (first === undefined) return [];
    const since = wrong.reduce((oldest, { since }) => (since < oldest ? since : oldest), first.since);
    const changed = await this.#deps.changedSince(
      wrong.map(({ key }) => key),
      since,
    );
    this.add(wrong.filter(({ identity }) => changed.has(identity)));
    return wrong.filter(({ identity }) => !changed.has(identity));
  }

  #judge(
    identity: string,
    pending: Pending,
    source: Versions,
    actual: Uint8Array | undefined,
    applied: bigint | undefined,
  ): "right" | "waiting" | Wrong {
    const { expect, does, graceMs, now } = this.#deps;
    const document = source.documents.get(identity);
    const expected = document === undefined || expect === undefined ? document : expect(document);
    const isRight =
      expected === undefined || actual === undefined
        ? expected === actual
        : (does?.(expected, actual) ?? Buffer.compare(expected, actual) === 0);
    if (isRight) return "right";
    const state = stateOf(expected);
    if (state !== pending.state) {
      Object.assign(pending, { state, since: source.at, sinceMs: now() });
      return "waiting";
    }
    const isOver = applied === undefined ? now() - pending.sinceMs >= graceMs : applied >= pending.since;
    if (!isOver) return "waiting";
    return {
      key: pending.key,
      identity,
      kind: actual === undefined ? "missing" : expected === undefined ? "extra" : "different",
      difference: expected !== undefined && actual !== undefined ? differenceOf(expected, actual) : undefined,
      since: pending.since,
    };
  }
}
