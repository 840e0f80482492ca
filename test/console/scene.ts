import { Binary, Long, serialize, Timestamp } from "bson";
import type { Document } from "mongodb";
import { ConflictStore } from "#apply/conflict/conflictStore.ts";
import { identityBinary } from "#apply/deadletter/letterRecords.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { ROLES, type Role, TokenStore } from "#process/control/tokenStore.ts";
import { bothSides } from "../harness/bothSides.ts";
import { controlUrl, startControl } from "../harness/control.ts";
import { directConverged, startDirect } from "../harness/directRun.ts";
import { ferry } from "../harness/ferry.ts";

const AUTHOR = { via: "cli", who: "a test" } as const;
export const ROUTE = "shop.users";
const STATE_DB = "ferry_seen";

const person = (n: number): Document => ({
  _id: n as never,
  firstname: ["Anna", "Ben", "Cleo", "Dario", "Emma", "Finn"][n % 6],
  lastname: ["Bauer", "Conti", "Dubois", "Evans"][n % 4],
  age: 18 + (n % 60),
  email: `user${n}@example.org`,
});

const bson = (doc: Document): Binary => new Binary(serialize(doc));

/** Services of the target have written a document that the source changed as well. */
const conflict = (state: StateDb): Promise<unknown> => {
  const [source, target] = [bson(person(7)), bson({ ...person(7), email: "anna@elsewhere.example" })];
  const record = {
    ...{ _id: `${ROUTE}/0/1`, route: ROUTE, partition: 0, offset: Long.fromNumber(1), ns: ROUTE },
    ...{ key: identityBinary("k"), documentKey: bson({ _id: 7 }), policy: "mirror", winner: "source" },
    ...{ why: "both wrote", fields: ["email"], source, target, sourceBytes: 100, targetBytes: 100 },
    ...{ at: new Timestamp(0n), storedAt: new Date() },
  };
  return new ConflictStore(state).add([record as never], undefined);
};

/** A run on two servers with something on every page: dead letters, drift, a conflict, something wrong, a rehearsal. */
export const openScene = async ({ documents = 2000, letters = 3 } = {}) => {
  const both = await bothSides();
  const { here, there, source, target, stack } = both;
  const state = new StateDb(there, STATE_DB);
  const users = here.db("shop").collection<Document>("users");
  await users.insertMany(Array.from({ length: documents }, (_, n) => person(n)));
  await here
    .db("shop")
    .collection<Document>("orders")
    .insertMany(Array.from({ length: documents }, (_, n) => ({ _id: n as never, n })));
  // Only the target's index refuses a second one.
  await there
    .db("shop")
    .collection("users")
    .createIndex({ card: 1 }, { unique: true, partialFilterExpression: { card: { $exists: true } } });
  const run = stack.use(
    await startDirect({
      ...{ source: source.uri, target: target.uri, include: ["shop.*"] },
      args: ["--state-db", STATE_DB, "--no-structure"],
    }),
  );
  await run.says("copy finished");
  await users.insertOne({ _id: "first" as never, card: "4711" });
  await directConverged(here, there, ROUTE);
  await users.insertMany(Array.from({ length: letters }, (_, n) => ({ _id: `again-${n}` as never, card: "4711" })));
  await users.updateMany({ _id: { $lt: 20 as never } }, { $set: { sex: "f" } });
  await run.says("dead letter");
  await conflict(state);
  const cli = (...args: string[]) => ferry([...args, "--target", target.uri, "--state-db", STATE_DB]);
  await there
    .db("shop")
    .collection<Document>("users")
    .updateOne({ _id: 100 as never }, { $set: { age: 1 } });
  const verified = await cli("verify", "--source", source.uri);
  const control = stack.use(
    await startControl([
      "--source",
      source.uri,
      "--target",
      target.uri,
      "--state-db",
      STATE_DB,
      "--listen",
      "127.0.0.1:0",
    ]),
  );
  const tokens = new TokenStore(state);
  const made = await Promise.all(
    ROLES.map(async (role) => [role, await tokens.create({ role, name: null, expiresAt: null }, AUTHOR)] as const),
  );
  const tokenOf = new Map<Role, string>(made.map(([role, { token }]) => [role, token]));
  return {
    ...{ both, state, users, run, control, cli, verified },
    as: (role: Role) => ({ url: controlUrl(control), token: tokenOf.get(role) }),
    [Symbol.asyncDispose]: () => both[Symbol.asyncDispose](),
  };
};

export type Scene = Awaited<ReturnType<typeof openScene>>;

/** Until it holds. @throws FERRY_TIMEOUT */
export const until = (what: string, holds: () => Promise<boolean>): Promise<undefined> =>
  waitFor(async () => ((await holds()) ? { done: undefined } : { seen: "not yet" }), {
    ...{ what, clock: systemClock, timeoutMs: 30_000, everyMs: 200 },
  });
