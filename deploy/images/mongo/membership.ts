/**
 * Makes this container's mongod a member of its replica set, once: without $REPLICA_SET_SEED it initiates the set with itself
 * as the only member; with it, the seed's primary is asked to add it. A mongod that knows its set is left alone.
 */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import type { Document } from "bson";
import { LOOPBACK } from "#base/config/listenAddress.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { mongoCommand } from "#tools/stack/mongoCommand.ts";

const PORT = 27017;
const ALREADY_INITIALIZED = 23;

const set = process.env["REPLICA_SET"] ?? "";
const seed = process.env["REPLICA_SET_SEED"] ?? "";
const self = `${hostname()}:${PORT}`;
/** This mongod, as it is asked before it has users: over loopback it may be initiated without one. */
const here = `${LOOPBACK}:${PORT}`;
const caFile = process.env["MONGO_CA_FILE"];
const tls = caFile === undefined ? {} : { ca: readFileSync(caFile, "utf8") };

/** A reply, or the reason why there is none: while containers start, any of them may be away. */
const ask = async (address: string, command: Document): Promise<Document> => {
  const [host = "", port = String(PORT)] = address.split(":");
  try {
    return await mongoCommand(Number(port), { ...command, $db: "admin" }, { host, ...tls });
  } catch (error) {
    return { ok: 0, errmsg: error instanceof Error ? error.message : String(error) };
  }
};

const refusal = (address: string, reply: Document): { seen: string } => ({ seen: `${address}: ${reply["errmsg"]}` });

const until = <T>(what: string, probe: () => Promise<{ done: T } | { seen: unknown }>): Promise<T> =>
  waitFor(probe, { what, clock: systemClock, timeoutMs: Number.POSITIVE_INFINITY, everyMs: 500 });

/** The first member has a higher priority: the run book's `mongodb://mongo-source` names it. */
const initiate = async (): Promise<{ done: true } | { seen: unknown }> => {
  const members = [{ _id: 0, host: self, priority: 2 }];
  const reply = await ask(here, { replSetInitiate: { _id: set, members } });
  return reply["ok"] === 1 || reply["code"] === ALREADY_INITIALIZED ? { done: true } : refusal(here, reply);
};

/** Two members may ask at once; MongoDB takes one change at a time and refuses the other, which then asks again. */
const join = async (): Promise<{ done: true } | { seen: unknown }> => {
  const hello = await ask(seed, { hello: 1 });
  const primary = hello["primary"] as string | undefined;
  if (primary === undefined) return refusal(seed, { errmsg: hello["errmsg"] ?? "no primary yet" });
  const { config, ...reply } = await ask(primary, { replSetGetConfig: 1 });
  if (config === undefined) return refusal(primary, reply);
  const members = config.members as { _id: number; host: string }[];
  if (members.some(({ host }) => host === self)) return { done: true };
  const _id = Math.max(...members.map((member) => member._id)) + 1;
  const changed = { ...config, version: config.version + 1, members: [...members, { _id, host: self, priority: 1 }] };
  const answer = await ask(primary, { replSetReconfig: changed });
  return answer["ok"] === 1 ? { done: true } : refusal(primary, answer);
};

await until("mongod to answer", async () => {
  const hello = await ask(here, { hello: 1 });
  return hello["ok"] === 1 ? { done: true } : refusal(here, hello);
});
const { setName } = await ask(here, { hello: 1 });
if (setName === undefined) {
  await until(`${self} to be a member of ${set}`, seed === "" ? initiate : join);
  process.stdout.write(`${self} is a member of ${set}\n`);
}
