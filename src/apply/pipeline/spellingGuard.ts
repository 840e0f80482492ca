import type { Claim } from "#apply/lanes/claims.ts";
import type { RunStore } from "#apply/lanes/runStore.ts";
import { isAmbiguous, spellingsOf } from "#base/bson/spelling.ts";
import type { ConflictPolicy } from "#base/config/routes.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { HOME_OF_TEXTS, homeOf } from "#io/log/places.ts";

export type SpellingGuardDeps = Readonly<{
  claim: Claim;
  partitionCount: number;
  policy: ConflictPolicy;
  runs: RunStore;
  /** Error codes accepted with --accept. */
  accepted: ReadonlySet<string>;
  /** May the target hold another text than this one to be the same `_id`? */
  isOpen: (keyed: Uint8Array) => boolean;
}>;

/** Records of one spelling whose partition is looked at: a topic that is keyed by spelling passes with one chance in 2^64. */
const LOOKS = 64;
/** A collection with more spellings than this is taken to have two of one `_id`. */
const MANY = 200;

const astray = (spelling: string): string => `! ${spelling}`;

/**
 * Sees to it that all events of one document can be ordered: two spellings of its `_id` have two Kafka keys, and only one
 * partition keeps their order. `ferry capture` puts all spellings into one (`io/log/places.ts`), the connector does not. So a route
 * is halted before the first event is applied whose `_id` another partition may have under another spelling. What spellings
 * there are is noted on the target before they are applied: of two partitions that meet the first two, one sees both.
 */
export class SpellingGuard {
  readonly #deps: SpellingGuardDeps;
  readonly #known = new Set<string>();
  readonly #looks = new Map<string, number>();

  constructor(deps: SpellingGuardDeps) {
    this.#deps = deps;
  }

  /** @throws FERRY_APPLY_SPELLING, FERRY_TARGET_POLICY; FERRY_MONGO_* in the answer, which is undefined where all of it is known */
  readonly see = (keyed: Uint8Array): Promise<void> | undefined => {
    const { partitionCount, isOpen, policy, claim, accepted } = this.#deps;
    if (partitionCount === 1 && policy === "mirror") return undefined;
    if (isOpen(keyed)) this.#checkText();
    if (partitionCount === 1 || accepted.has("FERRY_APPLY_SPELLING")) return undefined;
    const spellings = spellingsOf(keyed);
    if (spellings.length === 0) return undefined;
    const kind = spellings.join();
    const looks = this.#looks.get(kind) ?? 0;
    if (looks === LOOKS) return undefined;
    this.#looks.set(kind, looks + 1);
    const isHome = homeOf(keyed, partitionCount) === claim.partition;
    const fresh = [...spellings, ...(isHome ? [] : spellings.map(astray))].filter((one) => !this.#known.has(one));
    return fresh.length === 0 ? undefined : this.#note(fresh);
  };

  #checkText(): void {
    const { partitionCount, policy, claim, accepted } = this.#deps;
    if (policy !== "mirror")
      throw new FerryError(
        "FERRY_TARGET_POLICY",
        `${claim.route}: the collection has a default collation, so ${policy} cannot tell which texts are one _id`,
      );
    if (partitionCount === 1 || claim.partition === HOME_OF_TEXTS || accepted.has("FERRY_APPLY_SPELLING")) return;
    throw this.#unsafe("its collection has a default collation, and texts as _id");
  }

  async #note(fresh: readonly string[]): Promise<void> {
    const { runs, claim } = this.#deps;
    const all = await runs.noteSpellings(claim.route, fresh);
    for (const one of fresh) this.#known.add(one);
    const strays = all.filter((one) => one.startsWith("! "));
    if (strays.length === 0) return;
    const plain = all.filter((one) => !one.startsWith("! "));
    const places = new Set(strays.map((one) => placeOf(one.slice(2))));
    const within = plain.filter((one) => places.has(placeOf(one)));
    if (isAmbiguous(within) || all.length > MANY) throw this.#unsafe(`its _ids are spelled as ${within.join(", ")}`);
  }

  #unsafe(why: string): FerryError {
    const { claim, partitionCount } = this.#deps;
    return new FerryError("FERRY_APPLY_SPELLING", `${claim.topic} has ${partitionCount} partitions, and ${why}`);
  }
}

/** Where in the `_id` a value stands, and of which family it is. */
const placeOf = (spelling: string): string => spelling.replace(/^(.* [ns]) .*$/s, "$1");
