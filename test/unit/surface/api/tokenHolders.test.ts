import assert from "node:assert/strict";
import { test } from "node:test";
import { FerryError } from "#base/errors/ferryError.ts";
import { hashOf, type TokenFacts } from "#process/control/tokenStore.ts";
import { TokenHolders } from "#surface/api/tokenHolders.ts";

const FACTS: TokenFacts = {
  id: "0123456789ab",
  role: "viewer",
  name: null,
  createdBy: "a test",
  createdAt: new Date(0),
  expiresAt: null,
  revokedAt: null,
  state: "valid",
};

/** Tokens by their text, a clock to turn, and how often the database was asked. */
const open = (tokens: Record<string, TokenFacts>) => {
  const known = new Map(Object.entries(tokens).map(([token, facts]) => [hashOf(token), facts]));
  const seen = { looks: 0, now: 0, isAway: false };
  const find = async (hash: string): Promise<TokenFacts | undefined> => {
    seen.looks++;
    if (seen.isAway) throw new FerryError("FERRY_MONGO_UNREACHABLE", "away");
    return known.get(hash);
  };
  const holders = new TokenHolders({ find }, { now: () => seen.now });
  return { seen, known, ask: (token: string, address = "1.2.3.4") => holders.holderOf(`Bearer ${token}`, address) };
};

const code = (expected: string) => (error: unknown) => error instanceof FerryError && error.code === expected;

test("many requests with one token ask the database once a second", async () => {
  const { seen, ask } = open({ good: FACTS });
  await Promise.all(Array.from({ length: 50 }, () => ask("good")));
  assert.equal(seen.looks, 1);
  seen.now = 999;
  await ask("good");
  assert.equal(seen.looks, 1);
  seen.now = 1000;
  await ask("good");
  assert.equal(seen.looks, 2);
});

test("a token that is revoked is refused a second later, with its state", async () => {
  const { seen, known, ask } = open({ good: FACTS });
  await ask("good");
  known.set(hashOf("good"), { ...FACTS, state: "revoked" });
  seen.now = 1000;
  await assert.rejects(ask("good"), /token 0123456789ab is revoked/);
  await assert.rejects(ask("good"), code("FERRY_API_TOKEN"));
});

test("after ten invalid tokens an address is refused without a look, others are not, and not a token that is known", async () => {
  const { seen, ask } = open({ good: FACTS, other: FACTS });
  await ask("good");
  const guesses = await Promise.allSettled(Array.from({ length: 25 }, (_, n) => ask(`guess ${n}`.replace(" ", ""))));
  const codes = guesses.map((one) => (one.status === "rejected" ? (one.reason as FerryError).code : "none"));
  assert.equal(codes.filter((one) => one === "FERRY_API_TOKEN").length, 10);
  assert.equal(codes.filter((one) => one === "FERRY_API_LIMIT").length, 15);
  assert.equal(seen.looks, 11);
  seen.now = 2000;
  assert.equal((await ask("good")).role, "viewer");
  await assert.rejects(ask("other"), code("FERRY_API_LIMIT"));
  assert.equal((await ask("other", "5.6.7.8")).role, "viewer");
  seen.now = 60_000;
  await assert.rejects(ask("guess"), code("FERRY_API_TOKEN"));
});

test("a database that is away is no invalid token", async () => {
  const { seen, ask } = open({ good: FACTS });
  seen.isAway = true;
  for (let n = 0; n < 20; n++) await assert.rejects(ask("good"), code("FERRY_MONGO_UNREACHABLE"));
  seen.isAway = false;
  assert.equal((await ask("good")).role, "viewer");
});

test("a header that holds no bearer token is refused, and is no guess", async () => {
  const { seen } = open({});
  const holders = new TokenHolders({ find: async () => undefined }, { now: () => 0 });
  for (const header of [undefined, "", "Basic abc", "Bearer", "Bearer a b"])
    for (let n = 0; n < 5; n++) await assert.rejects(holders.holderOf(header, "1.2.3.4"), code("FERRY_API_TOKEN"));
  assert.equal(seen.looks, 0);
});
