/** What `bench direct` copies: enough that neither a start nor a burst decides. */
import type { MongoClient } from "mongodb";
import { DB, load, nestedUser, user } from "./topics.ts";

type Keys = Readonly<Record<string, 1>>;

/** One collection of a load. */
export type Copied = Readonly<{
  coll: string;
  full: number;
  document: (i: number) => { _id: number };
  indexes: readonly Keys[];
}>;

const text = (bytes: number): string => "0123456789abcdef".repeat(bytes / 16);
const [TEXT_4K, TEXT_60K] = [text(4096 - 112), text(60 * 1024 - 112)];
const large = (i: number): { _id: number } => ({ ...user(i), text: TEXT_4K }) as { _id: number };
const huge = (i: number): { _id: number } => ({ ...user(i), text: TEXT_60K }) as { _id: number };

const MIX_INDEXES: readonly Keys[] = [{ email: 1 }, { lastname: 1, age: 1 }];

/** From 5000 to 230,000 documents a collection, as a database of some services has them. */
const mix = (): Copied[] =>
  Array.from({ length: 10 }, (_, n) => ({
    coll: `mix${n}`,
    full: 5000 + n * 25_000,
    document: n % 3 === 0 ? user : n % 3 === 1 ? nestedUser : (i) => ({ ...nestedUser(i), text: text(1024) }),
    indexes: MIX_INDEXES,
  }));

/** By the name that `--kinds` takes. */
export const KINDS = {
  small: [{ coll: "small", full: 3_000_000, document: user, indexes: [] }],
  "4k": [{ coll: "4k", full: 300_000, document: large, indexes: [] }],
  "60k": [{ coll: "60k", full: 20_000, document: huge, indexes: [] }],
  mix: mix(),
} as const satisfies Record<string, readonly Copied[]>;
export type Kind = keyof typeof KINDS;

export const isKind = (name: string): name is Kind => Object.hasOwn(KINDS, name);

export const collectionsOf = (kind: Kind): readonly Copied[] => KINDS[kind];

/** Onto the source; a server that many benches share has them from one that came before, or of another size. */
export const loadKind = async (client: MongoClient, kind: Kind, sized: (full: number) => number): Promise<void> => {
  for (const { coll, full, document, indexes } of collectionsOf(kind)) {
    await client.db(DB).dropCollection(coll);
    await load(client, coll, sized(full), document);
    for (const keys of indexes) await client.db(DB).collection(coll).createIndex(keys);
  }
};
