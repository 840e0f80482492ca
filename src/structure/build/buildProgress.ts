import type { Clock } from "#base/flow/clock.ts";
import { every } from "#base/flow/every.ts";
import type { Namespace } from "#base/flow/types.ts";
import type { Document, MongoClient } from "#io/mongo/connect.ts";

/** How far the server is with what it does to a collection's indexes. */
export type BuildProgress = Readonly<{
  /** The server's own words: `Index Build: scanning collection`. */
  phase: string;
  done: number;
  total: number;
}>;

/** `Index Build: scanning collection, 120000 of 1000000 (12 %)` */
export const progressText = ({ phase, done, total }: BuildProgress): string =>
  `${phase}, ${done} of ${total} (${Math.floor((100 * done) / total)} %)`;

/** How often the server is asked, ms. */
const ASK_MS = 1000;

const COMMANDS = ["createIndexes", "collMod"];

/** Undefined if nothing is being built, or without the privilege `inprog`: then nothing is reported, and nothing fails. */
const readProgress = async (client: MongoClient, { db, coll }: Namespace): Promise<BuildProgress | undefined> => {
  const command = { $or: COMMANDS.map((name) => ({ [`command.${name}`]: coll })) };
  const found = client
    .db("admin")
    .aggregate<Document>([
      { $currentOp: { allUsers: true, idleConnections: true } },
      { $match: { ...command, "command.$db": db, "progress.total": { $gt: 0 } } },
      { $limit: 1 },
    ]);
  const [op] = await found.toArray().catch(() => []);
  if (op === undefined) return undefined;
  const { done, total } = op["progress"] as Readonly<{ done: number; total: number }>;
  const phase = String(op["msg"] ?? "").replace(/: \d+\/\d+ \d+%$/, "");
  // The server says the phase twice: as the operation's message, and as its progress meter's name.
  const half = phase.slice(0, phase.length >> 1);
  return { phase: phase === `${half} ${half}` ? half : phase, done: Number(done), total: Number(total) };
};

/** Waits for `work`, and tells meanwhile how far the server is with the collection's indexes. */
export const withProgress = async <T>(
  { target, clock }: Readonly<{ target: MongoClient; clock: Clock }>,
  ns: Namespace,
  tell: (progress: BuildProgress) => void,
  work: () => Promise<T>,
): Promise<T> => {
  const ended = new AbortController();
  const watching = every(ASK_MS, { clock, ended: ended.signal, first: "later" }, async () => {
    const progress = await readProgress(target, ns);
    if (progress !== undefined && !ended.signal.aborted) tell(progress);
  });
  try {
    return await work();
  } finally {
    ended.abort();
    await watching;
  }
};
