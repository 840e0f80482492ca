import { hash } from "node:crypto";
import { identityOf } from "#base/bson/identity.ts";
import { type Difference, differenceOf } from "./difference.ts";
import { type Expect, isRight, type Onto, type Suspect } from "./pairedRange.ts";

/** Documents by identity, as of one majority read. `at`: a clusterTime that the read is not older than. */
export type Versions = Readonly<{ documents: ReadonlyMap<string, Uint8Array>; at: bigint }>;

export type RecheckDeps = Readonly<{
  /** Reads by raw `{ _id }`s; never older than a read that was answered before, nor than this clusterTime. */
  readSource: (keys: readonly Uint8Array[], notBefore: bigint) => Promise<Versions>;
  readTarget: (keys: readonly Uint8Array[]) => Promise<Versions>;
  /** Everything that the source committed up to this clusterTime is on the target; undefined where nothing tells. */
  applied: () => Promise<bigint | undefined>;
  /**
   * Which of these did the source change after this clusterTime, up to its state at the last read? By identity. States tell too
   * little: a document that is deleted and inserted again may look unchanged.
   */
  changedSince: (keys: readonly Uint8Array[], at: bigint) => Promise<ReadonlySet<string>>;
  expect: Expect | undefined;
  onto: Onto | undefined;
  /** Brings what `expect` and `onto` know up to what is on the target by now. */
  learn: () => Promise<void>;
  /** Identities of those that are not as they should be for a reason on the books: dead letters, documents that the target keeps. */
  excused: (found: readonly Wrong[]) => Promise<ReadonlySet<string>>;
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
  /** The source's clusterTime at the look that found it. */
  seenAt: bigint;
}>;

/**
 * A moment, as both sides' clusterTimes: every change before it, on either side, was seen. What is suspect since a moment keeps
 * verification from being current beyond it.
 */
export type Moment = Readonly<{ source: bigint; target: bigint }>;

/** When a suspect may be looked at, and since when it is one. */
export type Noted = Readonly<{
  /** Not before everything up to this clusterTime of the source is on the target. */
  due: bigint;
  moment: Moment | undefined;
}>;

/** A suspect between two looks. */
type Pending = {
  readonly key: Uint8Array;
  /** Of what the target should hold, as last seen; undefined before the first look. */
  state: string | undefined;
  since: bigint;
  sinceMs: number;
  due: bigint;
  moment: Moment | undefined;
  /** The newest moment at the last look. */
  lookedAt: Moment | undefined;
};

const ABSENT = "absent";
const stateOf = (document: Uint8Array | undefined): string =>
  document === undefined ? ABSENT : hash("sha256", document, "base64");

const AT_ONCE: Noted = { due: 0n, moment: undefined };
const NONE: ReadonlySet<string> = new Set();

/** Raw `{ _id }`s, by verdict. */
export type RoundResult = Readonly<{
  /** Found to be as they should be by now. */
  right: readonly Uint8Array[];
  /** Not as they should be for a reason that is on the books. */
  excused: readonly Uint8Array[];
  wrong: readonly Wrong[];
}>;

const NOTHING: RoundResult = { right: [], excused: [], wrong: [] };

/**
 * Looks at suspects again until each is settled or wrong. A look reads the target first and the source after it. Where the source
 * has not changed the document since an earlier look, and everything up to that look had been applied before the target was read,
 * what the target lacks will not arrive any more.
 */
export class Recheck {
  readonly #deps: RecheckDeps;
  readonly #pending = new Map<string, Pending>();
  /** Those that are being looked at: what happens to them meanwhile is a matter of its own. */
  readonly #looking = new Map<string, Pending>();
  #newest: Moment | undefined;
  /** The source's changes up to this clusterTime are known here: no look may show an older state. */
  #seenUpTo = 0n;

  constructor(deps: RecheckDeps) {
    this.#deps = deps;
  }

  /** How many wait for a verdict. */
  get size(): number {
    return this.#pending.size + this.#looking.size;
  }

  /** Those among them that did not do at their last look. */
  get waiting(): number {
    let waiting = 0;
    for (const map of [this.#pending, this.#looking])
      for (const { state } of map.values()) if (state !== undefined) waiting++;
    return waiting;
  }

  /** The oldest moment since which something waits. */
  get oldest(): Moment | undefined {
    let oldest: Moment | undefined;
    for (const map of [this.#pending, this.#looking])
      for (const { moment } of map.values())
        if (moment !== undefined && (oldest === undefined || moment.source < oldest.source)) oldest = moment;
    return oldest;
  }

  add(suspects: readonly Pick<Suspect, "key">[], { due, moment }: Noted = AT_ONCE): void {
    this.#newest = moment ?? this.#newest;
    if (due > this.#seenUpTo) this.#seenUpTo = due;
    for (const { key } of suspects) {
      const identity = identityOf(key);
      if (!this.#pending.has(identity))
        this.#pending.set(identity, {
          ...{ key, state: undefined, since: 0n, sinceMs: 0, due, moment },
          lookedAt: undefined,
        });
    }
  }

  /** Looks once at up to `most` of those that are due, those that wait longest first. @throws what the reads throw */
  async look(most: number): Promise<RoundResult> {
    if (this.#pending.size === 0) return NOTHING;
    const applied = await this.#deps.applied();
    const taken = this.#take(most, applied);
    if (taken.length === 0) return NOTHING;
    try {
      return await this.#judgeAll(taken, applied);
    } finally {
      for (const [identity, pending] of taken) this.#giveBack(identity, pending);
    }
  }

  #take(most: number, applied: bigint | undefined): readonly (readonly [string, Pending])[] {
    const taken: [string, Pending][] = [];
    for (const [identity, pending] of this.#pending) {
      if (taken.length >= most) break;
      if ((applied !== undefined && pending.due > applied) || this.#looking.has(identity)) continue;
      taken.push([identity, pending]);
    }
    for (const [identity, pending] of taken) {
      this.#pending.delete(identity);
      this.#looking.set(identity, pending);
    }
    return taken;
  }

  /** Those without a verdict wait again, behind the others; one that was noted meanwhile is the same one, from then on. */
  #giveBack(identity: string, pending: Pending): void {
    if (!this.#looking.delete(identity)) return; // it has its verdict
    const again = this.#pending.get(identity);
    this.#pending.delete(identity);
    this.#pending.set(identity, again === undefined ? pending : { ...pending, due: again.due });
  }

  async #judgeAll(taken: readonly (readonly [string, Pending])[], applied: bigint | undefined): Promise<RoundResult> {
    const newest = this.#newest;
    const keys = taken.map(([, { key }]) => key);
    await this.#deps.learn();
    const target = await this.#deps.readTarget(keys);
    const source = await this.#deps.readSource(keys, this.#seenUpTo);
    const wrong: Wrong[] = [];
    const right: Uint8Array[] = [];
    for (const [identity, pending] of taken) {
      const verdict = this.#judge(identity, pending, source, target.documents.get(identity), applied);
      pending.lookedAt = newest;
      if (verdict === "waiting") continue;
      if (verdict === "right") right.push(pending.key);
      else wrong.push(verdict);
    }
    const proven = await this.#unchanged(wrong);
    const known = proven.length === 0 ? NONE : await this.#deps.excused(proven);
    for (const key of right) this.#looking.delete(identityOf(key));
    for (const { identity } of proven) this.#looking.delete(identity);
    return {
      right,
      excused: proven.filter(({ identity }) => known.has(identity)).map(({ key }) => key),
      wrong: proven.filter(({ identity }) => !known.has(identity)),
    };
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
    for (const { identity } of wrong) {
      const pending = changed.has(identity) ? this.#looking.get(identity) : undefined;
      if (pending !== undefined) pending.state = undefined; // as if it had not been looked at
    }
    return wrong.filter(({ identity }) => !changed.has(identity));
  }

  #judge(
    identity: string,
    pending: Pending,
    source: Versions,
    actual: Uint8Array | undefined,
    applied: bigint | undefined,
  ): "right" | "waiting" | Wrong {
    const { expect, onto, graceMs, now } = this.#deps;
    const document = source.documents.get(identity);
    const expected = document === undefined || expect === undefined ? document : expect(document);
    if (isRight(onto, expected, actual)) return "right";
    const state = stateOf(expected);
    if (state !== pending.state) {
      // What it was before the change is no more: whatever was found up to the last look.
      if (pending.state !== undefined) pending.moment = pending.lookedAt ?? pending.moment;
      Object.assign(pending, { state, since: source.at, sinceMs: now() });
      return "waiting";
    }
    const isOver = applied === undefined ? now() - pending.sinceMs >= graceMs : applied >= pending.since;
    if (!isOver) return "waiting";
    return {
      key: pending.key,
      identity,
      kind: actual === undefined ? "missing" : expected === undefined ? "extra" : "different",
      difference: this.#difference(expected, actual),
      since: pending.since,
      seenAt: source.at,
    };
  }

  #difference(expected: Uint8Array | undefined, actual: Uint8Array | undefined): Difference | undefined {
    if (expected === undefined || actual === undefined) return undefined;
    return differenceOf(this.#deps.onto?.(expected, actual) ?? expected, actual);
  }
}
