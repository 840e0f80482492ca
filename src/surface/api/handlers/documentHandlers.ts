import { ConflictStore } from "#apply/conflict/conflictStore.ts";
import { DeadLetterStore } from "#apply/deadletter/deadLetterStore.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { readable } from "#io/wire/readable.ts";
import type { Role } from "#process/control/tokenStore.ts";
import {
  type ConflictFacts,
  type ConflictHeadFacts,
  conflictFacts,
  conflictHeadFacts,
} from "#process/report/conflictFacts.ts";
import { driftFacts, readTimeline } from "#process/report/driftTimeline.ts";
import { identityOfText } from "#process/report/keyOfText.ts";
import { type LetterFacts, letterFacts } from "#process/report/letterFacts.ts";
import { DriftLedger } from "#route/drift/ledger.ts";
import { DEFAULT_LIMIT } from "../contract/shapes.ts";
import { type Handlers, seesDocuments } from "./handler.ts";
import { reasonFor } from "./reasonFor.ts";

const letterFor = (role: Role, letter: LetterFacts): LetterFacts => {
  if (seesDocuments(role)) return letter;
  const clash = letter.clash && { ...letter.clash, other: null };
  return { ...letter, key: null, clash, reason: reasonFor(role, letter.code, letter.reason) };
};

const headFor = (role: Role, conflict: ConflictHeadFacts): ConflictHeadFacts =>
  seesDocuments(role) ? conflict : { ...conflict, key: null };

const conflictFor = (role: Role, conflict: ConflictFacts): ConflictFacts =>
  seesDocuments(role) ? conflict : { ...conflict, key: null, source: null, target: null };

const unknown = (what: string): FerryError => new FerryError("FERRY_API_UNKNOWN", `there is no ${what}`);

const identityIn = (key: string | undefined): string | undefined =>
  key === undefined ? undefined : identityOfText(key);

/** What is known of single documents. */
export const DOCUMENT_HANDLERS = {
  listDrift: async ({ query: { route, since = 0, all = false } }, { token: { role } }, { servers: { state } }) => {
    const lines = await readTimeline(new DriftLedger(state), route);
    return lines
      .filter(({ baseline, first }) => (all || !baseline) && first.seconds >= since)
      .map((line) => driftFacts(seesDocuments(role) ? line : { ...line, example: null }));
  },

  listConflicts: async ({ query }, { token: { role } }, { servers: { state } }) => {
    const { route, winner, key, limit = DEFAULT_LIMIT } = query;
    const store = new ConflictStore(state);
    const [found, totals] = await Promise.all([
      store.heads({ route, winner, identity: identityIn(key) }, limit),
      store.counts(),
    ]);
    return { conflicts: found.map((record) => headFor(role, conflictHeadFacts(record))), totals };
  },

  getConflict: async ({ params: { id } }, { token: { role } }, { servers: { state } }) => {
    const [found] = await new ConflictStore(state).list({ id }, 1);
    if (found === undefined) throw unknown(`conflict ${id}`);
    return conflictFor(role, conflictFacts(found));
  },

  listLetters: async ({ query }, { token: { role } }, { servers: { state } }) => {
    const { route, reason: code, key, limit = DEFAULT_LIMIT } = query;
    const store = new DeadLetterStore(state);
    const filter = { route, code, identity: identityIn(key) };
    const [found, total] = await Promise.all([store.list(filter, limit), store.count(filter)]);
    return { letters: found.map((letter) => letterFor(role, letterFacts(letter))), total };
  },

  getLetter: async ({ params: { id } }, _, { servers: { state } }) => {
    const store = new DeadLetterStore(state);
    const [letter] = await store.list({ ids: [id] }, 1);
    if (letter === undefined) throw unknown(`dead letter ${id}`);
    const raw = await store.raw(id);
    return { ...letterFacts(letter), value: raw === null ? null : readable(raw) };
  },
} satisfies Partial<Handlers>;
