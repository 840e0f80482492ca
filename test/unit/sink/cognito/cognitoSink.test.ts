import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON, type Document, Int32 } from "bson";
import fc from "fast-check";
import type { CognitoPlace } from "#base/config/cognitoDestination.ts";
import type { TargetOp } from "#base/flow/types.ts";
import { CognitoSink } from "#sink/cognito/cognitoSink.ts";
import { readPool } from "#sink/cognito/readPool.ts";
import type { Tally } from "#sink/cognito/routeTally.ts";
import { poolDescription } from "../../../harness/cognito/poolDescription.ts";
import { FakeClock } from "../../../harness/memory/fakeClock.ts";
import { MemoryBook } from "../../../harness/memory/memoryBook.ts";
import { Cut, MemoryPool } from "../../../harness/memory/memoryPool.ts";

const ATTRIBUTES = { email: "email", given_name: "name", "custom:tenant": "tenant" };

const open = (more: Partial<CognitoPlace> = {}) => {
  const pool = new MemoryPool(poolDescription());
  const place = { userPoolId: "memory_pool", username: "login", attributes: ATTRIBUTES, enabled: "active", ...more };
  const book = new MemoryBook();
  const tallies: Tally[] = [];
  const sink = new CognitoSink({
    place,
    pool,
    book,
    clock: new FakeClock(),
    tally: { add: async (tally) => void tallies.push(tally) },
  });
  return { pool, book, sink, tallies, place };
};

const keyOf = (id: number): Uint8Array => BSON.serialize({ _id: new Int32(id) });
const write = (id: number, fields: Document): TargetOp => ({
  op: "write",
  key: keyOf(id),
  doc: BSON.serialize({ _id: new Int32(id), ...fields }),
  fresh: false,
});
const remove = (id: number): TargetOp => ({ op: "delete", key: keyOf(id) });

/** Users as `username: attributes`, without `sub`; those that are disabled are marked. */
const seen = ({ users }: MemoryPool): Record<string, unknown> =>
  Object.fromEntries(
    [...users].map(([username, { enabled, attributes, groups }]) => {
      const { sub: _, ...own } = Object.fromEntries(attributes);
      const all = groups.size === 0 ? own : { ...own, groups: [...groups].sort() };
      return [enabled ? username : `${username} (disabled)`, all];
    }),
  );

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

const contact = (email: string) => ({ email, email_verified: "true" });

test("a document becomes a user, is updated, loses attributes, and is disabled when it is deleted", async () => {
  const { pool, sink } = open();
  await sink.write([write(1, { login: "ann", email: "a@x.example", name: "Ann", age: 4 })]);
  assert.deepEqual(seen(pool), { ann: { ...contact("a@x.example"), given_name: "Ann" } });
  await sink.write([write(1, { login: "ann", email: "b@x.example" })]);
  assert.deepEqual(seen(pool), { ann: contact("b@x.example") });
  assert.deepEqual(pool.calls.splice(0), ["create", "setAttributes", "deleteAttributes"]);
  await sink.write([remove(1)]);
  await sink.write([remove(1), remove(2)]);
  assert.deepEqual(seen(pool), { "ann (disabled)": contact("b@x.example") });
  await sink.write([write(1, { login: "ann", email: "b@x.example" })]);
  assert.deepEqual(seen(pool), { ann: contact("b@x.example") });
  assert.deepEqual(pool.calls, ["disable", "setAttributes", "enable"]);
});

test("what changes nothing of what Cognito keeps costs no call, and of many states the last one is written", async () => {
  const { pool, sink, tallies } = open();
  const state = (age: number, name = "Ann"): TargetOp => write(1, { login: "ann", name, age });
  await sink.write([state(1), state(2)]);
  for (let age = 3; age < 100; age++) await sink.write([state(age)]);
  await sink.write([state(1, "B"), remove(1), state(2, "C"), state(3)]);
  assert.deepEqual(pool.calls, ["create"]);
  assert.deepEqual(
    [tallies.length, tallies.reduce((sum, { unchanged }) => sum + unchanged, 0)],
    [99, 98],
    "the number saved is counted",
  );
});

test("a document of another process's user is updated, and one of a user that is gone is created", async () => {
  const { pool, sink } = open();
  await pool.create(
    "ann",
    new Map([
      ["given_name", "Old"],
      ["custom:plan", "theirs"],
    ]),
  );
  await sink.write([write(1, { login: "ann", email: "a@x.example" })]);
  assert.deepEqual(seen(pool), { ann: { "custom:plan": "theirs", ...contact("a@x.example") } });
  await pool.delete("ann");
  await sink.write([write(1, { login: "ann", name: "Ann" })]);
  assert.deepEqual(seen(pool), { ann: { given_name: "Ann" } });
});

test("attributes that Cognito sets once are given with the creation alone", async () => {
  const { pool, sink } = open();
  await sink.write([write(1, { login: "ann", tenant: "a", name: "Ann" })]);
  await sink.write([write(1, { login: "ann", tenant: "b", name: "Bea" })]);
  assert.deepEqual(seen(pool), { ann: { "custom:tenant": "a", given_name: "Bea" } });
});

test("another username is another user: created first, then the former one is disabled, and kept from others", async () => {
  const { pool, sink, book } = open();
  await sink.write([write(1, { login: "ann", name: "Ann" })]);
  await sink.write([write(1, { login: "bea", name: "Ann" })]);
  assert.deepEqual(seen(pool), { "ann (disabled)": { given_name: "Ann" }, bea: { given_name: "Ann" } });
  const [record] = (await book.read([keyOf(1)])).values();
  assert.deepEqual(
    record?.former?.map(({ username, sub }) => [username, sub]),
    [["ann", "sub-1"]],
  );
  const error = await sink.write([write(2, { login: "ann" })]).catch((thrown: unknown) => thrown);
  assert.deepEqual(sink.refusal(error), { kind: "rejected" });
  const { clash, serverCode } = await sink.explain(error);
  assert.equal(serverCode, 11000, "it may be a matter of order, so it is tried again by the clock");
  assert.deepEqual([clash?.index, clash?.other], ["username", keyOf(1)]);
  await sink.write([write(1, { login: "ann", name: "Ann" })]);
  assert.deepEqual(seen(pool), { ann: { given_name: "Ann" }, "bea (disabled)": { given_name: "Ann" } });
});

test("a document that cannot be a user is refused before any call of its batch", async () => {
  const { pool, sink } = open();
  const error = await sink
    .write([write(1, { login: "ann" }), write(2, { login: "bea", email: "none" })])
    .catch((thrown: unknown) => thrown);
  assert.match(String(error), /FERRY_COGNITO_REJECTED: email is not an e-mail address/);
  assert.deepEqual(pool.calls, []);
});

test("on deletion users are deleted, or kept, as the route says", async () => {
  for (const [onDelete, left] of [
    ["delete", {}],
    ["keep", { bea: {}, "ann (disabled)": {} }],
  ] as const) {
    const { pool, sink } = open({ onDelete });
    await sink.write([write(1, { login: "ann" })]);
    await sink.write([write(1, { login: "bea" })]);
    await sink.write([remove(1)]);
    assert.deepEqual(seen(pool), left);
  }
});

test("what others changed in the pool is seen by a survey and by a read, and the next write undoes it, whatever its hash", async () => {
  const { pool, sink } = open();
  const documents = [1, 2, 3, 4].map((id) => write(id, { login: `u${id}`, name: "Ann", email: "a@x.example" }));
  const states = documents.flatMap((op) => (op.op === "write" ? op.doc : []));
  await sink.write(documents);
  await sink.write([remove(4)]);
  const { keeps, survey } = await sink.form();
  const idsOf = (keys: readonly Uint8Array[]): number[] => keys.map((key) => BSON.deserialize(key)["_id"]);
  assert.deepEqual(idsOf(await (await survey()).unlike(states)), [4]);

  await pool.setAttributes("u1", new Map([["given_name", "Eve"]]));
  await pool.delete("u2");
  await pool.enable("u4");
  await pool.create("theirs", new Map());
  const surveyed = await survey();
  assert.deepEqual(idsOf(await surveyed.unlike(states)), [1, 2]);
  assert.deepEqual(
    idsOf((await Array.fromAsync(surveyed.keys(10))).flat()),
    [1, 3, 4],
    "4 may sign in, though it is gone",
  );

  const read = async (): Promise<string[]> => (await sink.read([1, 2, 3, 4].map(keyOf))).map(hex).sort();
  const wanted = states.slice(0, 3).map((state) => hex(keeps(state)));
  assert.notDeepEqual(await read(), wanted);
  pool.calls.length = 0;
  await sink.write([...documents.slice(0, 3), remove(4)]);
  assert.deepEqual(await read(), wanted);
  assert.deepEqual(pool.calls.sort(), ["create", "disable", "setAttributes"], "and nothing for the one that is right");
});

test("a user is in the groups of its document, and in those that others gave it", async () => {
  const { pool, sink, book } = open({ groups: "roles" });
  const state = (...roles: string[]): TargetOp => write(1, { login: "ann", roles });
  const groups = (): string[] => [...(pool.users.get("ann")?.groups ?? [])].sort();
  await sink.write([state("editors")]);
  await pool.join("ann", "theirs");
  await sink.write([state("admins", "editors")]);
  assert.deepEqual(groups(), ["admins", "editors", "theirs"]);
  await sink.write([state("admins")]);
  await sink.write([state("admins", "admins")]);
  assert.deepEqual(groups(), ["admins", "theirs"]);
  const changes = pool.calls.filter((call) => call === "join" || call === "leave");
  assert.deepEqual(changes, ["join", "join", "join", "leave"]);
  const [record] = (await book.read([keyOf(1)])).values();
  assert.deepEqual(record?.groups, ["admins"]);
  await assert.rejects(sink.write([state("unknown")]), /groups has a name that is no group of the pool/);
});

test("groups are compared by a survey and by a read: those of the document, and none that others gave", async () => {
  const { pool, sink } = open({ groups: "roles" });
  const documents = [1, 2, 3].map((id) => write(id, { login: `u${id}`, roles: ["admins", "editors"] }));
  const states = documents.flatMap((op) => (op.op === "write" ? op.doc : []));
  await sink.write(documents);
  await sink.write([write(3, { login: "u3", roles: ["editors"] })]);
  const { keeps, survey } = await sink.form();
  const idsOf = (keys: readonly Uint8Array[]): number[] => keys.map((key) => BSON.deserialize(key)["_id"]);
  assert.deepEqual(idsOf(await (await survey()).unlike(states)), [3]);
  await pool.leave("u1", "admins");
  await pool.join("u2", "theirs");
  assert.deepEqual(idsOf(await (await survey()).unlike(states.slice(0, 2))), [1]);
  const [first] = await sink.read([keyOf(1)]);
  assert.deepEqual(BSON.deserialize(first as Uint8Array)["groups"], ["editors"]);
  await sink.write([documents[0] as TargetOp]);
  const kept = states.slice(0, 2).map((state) => hex(keeps(state)));
  assert.deepEqual((await sink.read([1, 2].map(keyOf))).map(hex).sort(), kept);
});

test("a user without a password gets the document's once, and no hash, record or later change has it", async () => {
  const { pool, sink, book } = open({ password: "secret" });
  const state = (secret?: string, name = "Ann"): TargetOp =>
    write(1, { login: "ann", name, ...(secret && { secret }) });
  await sink.write([state()]);
  assert.equal(pool.users.get("ann")?.hasPassword, false);
  await sink.write([state("first-secret")]);
  assert.equal(pool.users.get("ann")?.password, "first-secret");
  await sink.write([state("second-secret"), state("second-secret", "Bea")]);
  assert.equal(pool.users.get("ann")?.password, "first-secret", "from then on it is the user's own");
  const records = await book.read([keyOf(1)]);
  assert.doesNotMatch(JSON.stringify([...records]), /secret/);
  const { keeps } = await sink.form();
  const op = state("third-secret");
  assert.doesNotMatch(op.op === "write" ? JSON.stringify(BSON.deserialize(keeps(op.doc))) : "", /secret/);
  await pool.create("bea", new Map());
  await pool.setPassword("bea", "chosen-by-bea");
  await sink.write([write(2, { login: "bea", secret: "of-the-document" })]);
  assert.equal(pool.users.get("bea")?.password, "chosen-by-bea");
});

test("custom attributes that a pool lacks are added to it where that is asked for, and others are not", async () => {
  const { pool, place } = open({ attributes: { email: "email", "custom:rank": "rank", "custom:plan": "plan" } });
  await assert.rejects(
    readPool(pool, place),
    /has no attribute custom:rank \(`ferry check --create-attributes` adds custom ones\)/,
  );
  assert.ok((await readPool(pool, place, true)).attributes.has("custom:rank"));
  await assert.rejects(
    readPool(pool, { ...place, attributes: { nickname: "nick" } }, true),
    /has no attribute nickname/,
  );
});

const anyState = fc.record(
  {
    variant: fc.constantFrom("a", "b", "c"),
    email: fc.constantFrom("a@x.example", "b@x.example"),
    name: fc.constantFrom("n", "m"),
    active: fc.boolean(),
    roles: fc.subarray(["admins", "editors"]),
    secret: fc.constant("a-password"),
  },
  { requiredKeys: ["variant"] },
);
const anyStep = fc.record({
  id: fc.constantFrom(1, 2),
  state: fc.option(anyState, { nil: undefined }),
  /** At which of its calls the process ends, if it makes so many, and on which side of it. */
  cut: fc.option(fc.record({ at: fc.nat(4), side: fc.constantFrom("before", "after") }), { nil: undefined }),
});

/** What a model says of the pool: each document's user as its last state has it, and no other user who may sign in. */
const expected = (last: ReadonlyMap<number, Document | undefined>): Record<string, unknown> =>
  Object.fromEntries(
    [...last].flatMap(([, state]) => {
      if (state === undefined || state["active"] === false) return [];
      const { login, email, name, roles = [] } = state;
      const groups = roles.length > 0 && { groups: roles };
      return [[login, { ...(email && contact(email)), ...(name && { given_name: name }), ...groups }]];
    }),
  );

test("wherever a process ends, the next one brings the pool to what the documents say", async () => {
  for (const onDelete of ["disable", "delete"] as const)
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { maxLength: 12 }), async (steps) => {
        const { pool, sink } = open({ onDelete, groups: "roles", password: "secret" });
        const last = new Map<number, Document | undefined>();
        const owed = new Set<number>(); // what was cut off is read again, in its newest state by then
        const apply = async (): Promise<void> => {
          const ops = [...owed].map((id) => {
            const state = last.get(id);
            return state === undefined ? remove(id) : write(id, state);
          });
          await sink.write(ops);
          owed.clear();
        };
        for (const { id, state, cut } of steps) {
          last.set(id, state && { ...state, login: `${id}-${state.variant}` });
          owed.add(id);
          let calls = 0;
          pool.fault = () => (cut !== undefined && calls++ === cut.at ? (cut.side as "before" | "after") : undefined);
          await apply().catch((error: unknown) => {
            if (!(error instanceof Cut)) throw error;
          });
          pool.fault = () => undefined;
        }
        await apply();
        const users = seen(pool);
        const enabled = Object.fromEntries(Object.entries(users).filter(([name]) => !name.endsWith("(disabled)")));
        assert.deepEqual(enabled, expected(last));
        for (const state of last.values())
          if (state?.["secret"] !== undefined) assert.ok(pool.users.get(state["login"])?.hasPassword);
        const before = pool.calls.length;
        for (const id of last.keys()) owed.add(id);
        await apply();
        assert.equal(pool.calls.length, before, "what is there already costs no call");
      }),
      { numRuns: 300, seed: 20261130 },
    );
});
