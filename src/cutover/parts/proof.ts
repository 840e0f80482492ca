import { isMongo } from "#base/config/destination.ts";
import type { Route } from "#base/config/routes.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { count } from "#base/flow/figures.ts";
import { lookUntil } from "#base/flow/lookUntil.ts";
import { type LookDeps, missingOnTarget, writesBehind } from "#cutover/ending/lastLook.ts";
import type { Proof, SourceTime } from "#cutover/machine/parts.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import type { VerificationStore } from "#proof/verify/verificationStore.ts";
import { isFollowed, type Verified, verifiedUpTo } from "#proof/verify/verifiedUpTo.ts";
import { routesOn } from "#route/table/routesOn.ts";
import { secondsOf, timeText } from "#source/stream/resumeToken.ts";
import { clockOf, clusterTime } from "#source/stream/sourceProbe.ts";
import { readCarriedRun } from "./carriedRun.ts";

export type ProofDeps = LookDeps &
  Readonly<{
    source: MongoClient;
    verification: VerificationStore;
    /** Is a namespace of the source switched over? */
    has: (ns: string) => boolean;
    /** Namespaces that are switched over; empty: everything that is carried. */
    named: readonly string[];
    /** While services wait, all that they wrote is compared as well, by `ferry verify --follow`. */
    verifyRest: boolean;
    /** The command that compares what this one switches. */
    verify: string;
    clock: Clock;
  }>;

/** What `ferry verify` has found, dead letters, and whether the source was written to behind the fence. */
export class VerifiedProof implements Proof {
  readonly #deps: ProofDeps;

  constructor(deps: ProofDeps) {
    this.#deps = deps;
  }

  async unready(): Promise<readonly FerryError[]> {
    const { accepted, verifyRest, verify } = this.#deps;
    const { unverified, wrong, structure, upTo } = await this.#verified();
    const found = [
      unverified.length > 0 && unproven(`\`${verify}\` has not compared to the end: ${listed(unverified)}`),
      wrong > 0 && new FerryError("FERRY_VERIFY_WRONG", count(wrong, "document")),
      structure.length > 0 && new FerryError("FERRY_VERIFY_WRONG", `the structure of ${listed(structure)}`),
      verifyRest && unverified.length === 0 && (await this.#notFollowed(upTo)),
    ];
    return found.filter((error) => error instanceof FerryError && !accepted.has(error.code)) as FerryError[];
  }

  async approach(): Promise<void> {
    // `ferry verify` proves it, in a process of its own
  }

  async missing(at: SourceTime, signal: AbortSignal): Promise<FerryError | undefined> {
    const { source, named, state, verifyRest, has } = this.#deps;
    if (verifyRest) await this.#verifiedTo(at, signal);
    const record = await readCarriedRun(state);
    const topics = record.topics.filter(({ name }) => has(name));
    const known = await missingOnTarget(this.#deps, { ...record, topics });
    if (known !== undefined) return known;
    const scope = named.length === 0 ? record.scope : { include: [...named], exclude: [] };
    return writesBehind(source, { ...record, scope }, { state, at, signal });
  }

  /** What is switched over and has been written to at all. Services wait for collections, and not for what else is carried. */
  async #routes(): Promise<readonly Route[]> {
    const { state, routes, has } = this.#deps;
    const { topics } = await readCarriedRun(state);
    return topics
      .filter(({ name, next }) => Number(next) > 0 && has(name))
      .flatMap(({ name }) => routesOn(routes, name))
      .filter(isMongo);
  }

  async #verified(): Promise<Verified> {
    const routes = await this.#routes();
    const found = await verifiedUpTo(
      this.#deps.verification,
      routes.map(({ name }) => name),
    );
    if (this.#deps.named.length === 0) return found;
    // A collection, or an index of it.
    const there = routes.filter(isMongo).map(({ to }) => to.mongodb);
    const isMeant = (part: string): boolean => there.some((ns) => part === ns || part.startsWith(`${ns} `));
    return { ...found, structure: found.structure.filter(isMeant) };
  }

  /** That it was verified lately does not tell that changes are followed. */
  async #notFollowed(upTo: SourceTime): Promise<FerryError | undefined> {
    const { source, state, verification, verify } = this.#deps;
    const routes = (await this.#routes()).map(({ name }) => name);
    const now = (await clusterTime(source)).toBigInt();
    if (
      (await isFollowed(verification, routes, await clockOf(state.client))) &&
      secondsOf(now) - secondsOf(upTo) <= FOLLOWED_S
    )
      return undefined;
    return unproven(
      `verified up to ${timeText(upTo)}: \`${verify} --follow\` is not at work, and --verify-rest needs it`,
    );
  }

  /** @throws FERRY_VERIFY_WRONG as soon as something is, the signal's reason */
  async #verifiedTo(at: SourceTime, signal: AbortSignal): Promise<void> {
    await lookUntil(LOOK_MS, { clock: this.#deps.clock, signal }, async () => {
      const { upTo, wrong } = await this.#verified();
      if (wrong > 0) throw new FerryError("FERRY_VERIFY_WRONG", count(wrong, "document"));
      return upTo >= at;
    });
  }
}

/** What follows is never further behind, s. */
const FOLLOWED_S = 15;
const LOOK_MS = 20;
/** At most so many names in a sentence. */
const NAMED = 5;

const listed = (names: readonly string[]): string =>
  names.length <= NAMED ? names.join(", ") : `${names.slice(0, NAMED).join(", ")} and ${names.length - NAMED} more`;

const unproven = (detail: string): FerryError => new FerryError("FERRY_CUTOVER_UNVERIFIED", detail);
