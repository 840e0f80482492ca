import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import type { Document, MongoClient } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { type Demo, type DemoOutcome, type DemoStep, holds, PATIENCE_MS, users } from "./runBook.ts";

/**
 * The end of the story: everything is proven to be there, services change over, and back again. The demo's servers know no users,
 * so that only a validator can be the fence: without authentication nothing gets past `user-write-block`.
 */
const FENCE = ["--fence", "validator"] as const;

const PAUSE = /the pause was [\d.,]+ ms: .*/;

/** What a service writes when it has changed over. */
const MOVED = { firstname: "an", lastname: "tran", age: 31, email: "new@side.com" };

/** The pause that a change of sides has printed. */
const pauseIn = (said: Parameters<typeof holds>[0]): DemoOutcome => {
  const outcome = holds(said, PAUSE);
  return outcome.ok ? { ok: true, seen: PAUSE.exec(said.output)?.[0] ?? "" } : outcome;
};

const isThere = (client: MongoClient, email: string, signal: AbortSignal): Promise<Document> =>
  waitFor(
    async () => {
      const found = await translated("looking for the new document", () => users(client).findOne({ email }));
      return found === null ? { seen: "not there" } : { done: found };
    },
    { what: `the document of ${email}`, clock: systemClock, timeoutMs: PATIENCE_MS, signal },
  );

const insert = async (demo: Demo, side: "source" | "target", document: Document): Promise<DemoOutcome> => {
  demo.show(`mongo-${side}> db.users.insertOne(${JSON.stringify(document)})`);
  const done = await translated(`inserting on mongo-${side}`, () => users(demo[side]).insertOne({ ...document }));
  return { ok: done.acknowledged, seen: "acknowledged" };
};

/** Behind the run book, on the same servers. */
export const SWITCH_OVER: readonly DemoStep[] = [
  {
    title: "Verify that everything is on mongo-target",
    expected: "test.users: 101 documents compared, all equal",
    act: async (demo) => holds(await demo.ferry("verify"), /test\.users: 101 documents compared, all equal/),
  },
  {
    title: "Rehearse the change of sides: everything but the fence",
    expected: "a predicted pause",
    act: async (demo) => holds(await demo.ferry("cutover", ...FENCE, "--rehearse"), /the pause would be about \d+ ms/),
  },
  {
    title: "Switch services over to mongo-target",
    expected: "the measured pause",
    act: async (demo) => pauseIn(await demo.ferry("cutover", ...FENCE)),
  },
  {
    title: "Write on the new side",
    expected: "acknowledged",
    act: (demo) => insert(demo, "target", MOVED),
  },
  {
    title: "Keep mongo-source in step, should services have to go back",
    expected: "the document of the new side is on mongo-source",
    act: async (demo) => {
      demo.start("run", "--reverse", "--include", "test.users", "--log-level", "warn");
      const { email } = await isThere(demo.source, MOVED.email, demo.signal);
      demo.show(`mongo-source> db.users.findOne({ email: "${email}" })`);
      return { ok: true, seen: `${email} is on mongo-source` };
    },
  },
  {
    title: "Verify that what was written on the new side is on mongo-source, too",
    expected: "102 documents compared, all equal",
    act: async (demo) =>
      holds(await demo.ferry("verify", "--reverse"), /test\.users: 102 documents compared, all equal/),
  },
  {
    title: "Roll back: services write to mongo-source again",
    expected: "the measured pause",
    act: async (demo) => pauseIn(await demo.ferry("rollback", ...FENCE, "--max-lag", "10s")),
  },
  {
    title: "Write on the former side",
    expected: "acknowledged",
    act: (demo) => insert(demo, "source", { ...MOVED, email: "back@side.com" }),
  },
];
