import type { RouteTraits } from "./route.ts";
import type { Fields, Meaning } from "./source.ts";

/** A field of the target's document. */
export type TargetFields = Readonly<Record<string, number | boolean | string>>;

type State = Fields | undefined;
type Verdict = "pass" | "drop";

/** Says whether a key's event, or a letter of it, counts as never applied. */
export type IsLeftOut = (offset: number) => boolean;

const textOf = (fields: TargetFields | undefined): string => JSON.stringify(fields ?? null);

/**
 * What must come out on the target. A document that is looked up may be any that the source has had since the event, and what an
 * operator decided counts from some moment on: so there may be several that are right, until nothing is left to do.
 */
export class Model {
  readonly #route: RouteTraits;
  readonly #meanings: readonly Meaning[];
  /** Operators' words, in their order. */
  readonly #verdicts = new Map<string, Verdict[]>();

  constructor(route: RouteTraits, meanings: readonly Meaning[]) {
    this.#route = route;
    this.#meanings = meanings;
  }

  decide(field: string, verdict: Verdict): void {
    this.#verdicts.set(field, [...(this.#verdicts.get(field) ?? []), verdict]);
  }

  isDecided(field: string): boolean {
    return this.#verdicts.has(field);
  }

  /** Types that the ledger began with, by field. */
  get #baseline(): ReadonlyMap<string, ReadonlySet<string>> {
    const first = this.#meanings.find((one) => one.is === "put");
    const known = new Map<string, Set<string>>();
    for (const one of this.#meanings)
      if (one.is === "put" && (one.isCopied || one === first))
        for (const [name, value] of Object.entries(one.fields))
          known.set(name, (known.get(name) ?? new Set()).add(typeof value));
    return known;
  }

  /** Fields that the ledger did not begin with, and those of which some document has another type. */
  get newFields(): readonly string[] {
    const seen = this.#meanings.flatMap((one) =>
      one.is === "put" || one.is === "set" ? Object.entries(one.fields) : [],
    );
    const news = seen.filter(([name, value]) => this.isNew(name, value)).map(([name]) => name);
    const never = ["b", "c", "$a", "$b", "$c"].filter((name) => !this.#baseline.has(name));
    return [...new Set([...never, ...news])];
  }

  /** Is it news that a document has this there? */
  isNew(name: string, value: number | boolean | string): boolean {
    return this.#baseline.get(name)?.has(typeof value) !== true;
  }

  /** Is the field carried with this value, as the route's policy and the newest decision say? */
  #verdictOf(name: string, value: number | boolean | string): Verdict {
    const decided = this.#verdicts.get(name)?.at(-1);
    return decided ?? (this.#isDropped && this.isNew(name, value) ? "drop" : "pass");
  }

  #carries = ([name, value]: readonly [string, number | boolean | string]): boolean =>
    this.#verdictOf(name, value) === "pass";

  get #isDropped(): boolean {
    return this.#route.drift === "drop-and-report";
  }

  /** Is a document with news applied only when an operator has decided? */
  get #waits(): boolean {
    return this.#route.drift === "hold" || this.#route.drift === "stop";
  }

  /** What is found, without fields of the source's document that are left out: a merge leaves what was written of them before. */
  carried(found: TargetFields | undefined, source: Fields): TargetFields | undefined {
    const isCarried = ([name, value]: [string, number | boolean | string]): boolean =>
      this.#carries([name, source[name] ?? value]);
    return found && Object.fromEntries(Object.entries(found).filter(isCarried));
  }

  /** Fields that were carried for a part of the time only. */
  get #unsteady(): ReadonlySet<string> {
    const decided = [...this.#verdicts].flatMap(([field, verdicts]) => {
      const before: Verdict[] = this.#baseline.has(field) ? ["pass"] : [];
      if (this.#isDropped && this.newFields.includes(field)) before.push("drop"); // of a known field: its other types
      return new Set([...before, ...verdicts]).size > 1 ? [field] : [];
    });
    return new Set(decided);
  }

  /** As the route leaves it on the target; undefined where it does not belong there. */
  targetOf(state: State): TargetFields | undefined {
    const { filter } = this.#route;
    if (state === undefined || (filter === "where" && Number(state["a"]) >= 50)) return undefined;
    const carried = Object.entries(state).filter((one) => this.#carries(one) && !(filter === "deny" && one[0] === "b"));
    return Object.fromEntries(carried.map(([name, one]) => [name, filter === "mask" && name === "c" ? "***" : one]));
  }

  /** What the source had of this event's document when it was made, and since. */
  #since(offset: number, identity: string): readonly State[] {
    return this.#meanings.slice(offset).flatMap((one): State[] => {
      if (one.is === "drop") return [undefined];
      return one.identity === identity ? [one.fields] : [];
    });
  }

  /** Whether an update gets its document from the source. */
  get #isLookedUp(): "never" | "maybe" | "always" {
    const { source, filter } = this.#route;
    if (source === "none") return "never";
    return source === "look-up" || filter === "where" ? "always" : "maybe";
  }

  /** All that the document may be when every event but those left out has been applied, as the source knows it. */
  #states(identity: string, isLeftOut: IsLeftOut, isShared: boolean): readonly State[] {
    let states: readonly State[] = [undefined];
    for (const [offset, one] of this.#meanings.entries()) {
      if (one.is === "drop") states = [undefined];
      if (one.identity !== identity || isLeftOut(offset)) continue;
      if (one.is !== "set") states = [one.fields];
      // What the source has no document for may be there by a service of the target: then there is one to be changed.
      else
        states = this.#afterSet(isShared ? states.flatMap((state) => state ?? [undefined, {}]) : states, offset, one);
    }
    return states;
  }

  #afterSet(states: readonly State[], offset: number, { identity, set }: Meaning & { is: "set" }): readonly State[] {
    // A value that is left out of a change leaves the former one where it is.
    const carried = Object.fromEntries(Object.entries(set).filter(this.#carries));
    const changed = states.map((state) => state && { ...state, ...carried });
    const how = this.#isLookedUp;
    if (how === "never") return changed;
    const since = this.#since(offset, identity);
    const found = since.filter((state) => state !== undefined);
    // One that finds nothing changes nothing.
    const looked = since.length > found.length ? [...found, ...states] : found;
    // A row filter needs a document only where something is left of the change.
    const isNothing = this.#route.source === "rescue" && Object.keys(carried).length === 0;
    const all = how === "always" && !isNothing ? looked : [...changed, ...looked];
    return [...new Map(all.map((state) => [textOf(state), state])).values()];
  }

  /** Is this what the target may have of a document? @param isShared a service of the target has written it, too */
  allows(identity: string, found: TargetFields | undefined, isLeftOut: IsLeftOut, isShared: boolean): boolean {
    const loose = this.#unsteady;
    if (Object.entries(found ?? {}).some(([name, value]) => this.#isUndecided(name, value))) return false;
    const plain = (fields: TargetFields | undefined): string => {
      const kept = Object.entries(fields ?? {}).filter(
        ([name]) => !loose.has(name) && !(this.#isDropped && name.startsWith("$")),
      );
      const entries = isShared ? kept.sort() : kept;
      // A merge takes away what the source still sends: what it sent once may be all that is left.
      const isGone = fields === undefined || (this.#route.policy === "merge" && loose.size > 0 && entries.length === 0);
      return isGone ? "null" : textOf(Object.fromEntries(entries));
    };
    return this.#states(identity, isLeftOut, isShared).some((state) => plain(this.targetOf(state)) === plain(found));
  }

  /** Its documents wait until an operator lets it through. */
  #isUndecided(name: string, value: number | boolean | string): boolean {
    const isMasked = this.#route.filter === "mask" && name === "c";
    const isNew = isMasked ? !this.#baseline.has(name) : this.isNew(name, value);
    return this.#waits && isNew && !(this.#verdicts.get(name) ?? []).includes("pass");
  }

  #isHeld(fields: Fields): boolean {
    const { drift } = this.#route;
    const news = Object.entries(fields).filter(([name, value]) => this.isNew(name, value));
    if (drift === "hold") return news.length > 0;
    // No rule can leave such a name out.
    return drift === "drop-and-report" && news.some(([name]) => name.startsWith("$"));
  }

  /** May the event stand in the dead letters for a reason of its own? */
  mayBeDead(offset: number): boolean {
    const one = this.#meanings[offset];
    if (one?.is === "poison") return true;
    if (one?.is !== "put" && one?.is !== "set") return false;
    const refused = (fields: State): boolean =>
      fields !== undefined && (fields["bad"] === true || this.#isHeld(fields));
    if (one.is === "put") return refused(one.fields);
    if (one.isUnclear || refused(one.set)) return true;
    return this.#isLookedUp === "always" && this.#since(offset, one.identity).some(refused);
  }

  /** Is it in the dead letters whatever an operator does? */
  isHopeless(offset: number): boolean {
    const one = this.#meanings[offset];
    return one?.is === "poison" || (one?.is === "set" && one.isUnclear && this.#isLookedUp === "never");
  }

  /** May the event come to nothing on its way, so that it waits behind no letter? */
  mayVanish(offset: number): boolean {
    const { filter } = this.#route;
    const one = this.#meanings[offset];
    if (one?.is === "put") return filter === "where" && one.isNew;
    if (one?.is !== "set") return false;
    const isLeftOut = Object.keys(one.set).every(
      (name) => (filter === "deny" && name === "b") || this.#isDropped || this.#verdicts.has(name),
    );
    return isLeftOut || (this.#isLookedUp !== "never" && this.#since(offset, one.identity).includes(undefined));
  }
}
