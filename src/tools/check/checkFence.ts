import { isFerry } from "#base/errors/ferryError.ts";
import { parseNamespace } from "#base/flow/types.ts";
import { fencedAmong } from "#cutover/fence/validatorFence.ts";
import { isWriteBlocked } from "#cutover/fence/writeBlock.ts";
import { readNewestCutover, readSentOver } from "#cutover/machine/cutoverStore.ts";
import { isEnd } from "#cutover/machine/cutoverTable.ts";
import { type CutoverRecord, isSwitchedBy, type Seen } from "#cutover/machine/record.ts";
import { waysOn } from "#cutover/machine/waysOn.ts";
import { readWhole } from "#cutover/parts/carriedRun.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { switchCommand } from "#process/switch/switchCommand.ts";
import { type CheckResult, checking, type Say } from "./checkResult.ts";

/** A side that is fenced while services leave it. */
export type Fenced = Readonly<{
  client: MongoClient;
  side: "the source" | "the target";
  /** Where services go from there. */
  other: "the source" | "the target";
  /** Of the run that carries from this side. */
  state: StateDb;
  /** What switches them over. */
  by: "cutover" | "rollback";
}>;

/** A fence that is up: around a namespace; null: around everything. */
type Up = string | null;

const fencesOn = async ({ client, state }: Fenced): Promise<readonly Up[]> => {
  if ((await isWriteBlocked(client)) === true) return [null];
  const carried = await readWhole(state).catch((error) => {
    if (isFerry(error, "FERRY_RUN_NONE")) return undefined;
    throw error;
  });
  return fencedAmong(
    client,
    (carried?.topics ?? []).map(({ name }) => parseNamespace(name)),
  );
};

const isBehind = (record: CutoverRecord, up: Up): boolean =>
  up === null ? record.fence === "user-write-block" : isSwitchedBy(record, up);

/** What the records say of a fence: `text` is the end of a sentence. */
type Whose = Readonly<{ level: "ok" | "fail"; text: string; remedy?: string }>;

/** It is that of a cutover which has sent services over, else of the newest one. */
const whoseOf = (
  fenced: Fenced,
  up: Up,
  { sent, seen }: Readonly<{ sent: readonly CutoverRecord[]; seen: Seen | undefined }>,
): Whose => {
  const { by, other } = fenced;
  const named = ({ _id, fence }: CutoverRecord): string => `${by} ${_id} (${fence})`;
  const mine = sent.find((record) => isBehind(record, up));
  if (mine !== undefined) return { level: "ok", text: `since ${named(mine)} sent services to ${other}` };
  const byHand = `A fence of your own is lifted by hand; \`${switchCommand(fenced.by, fenced.state.name)} --abort --allow-both${up === null ? "" : " --fence validator"}\` lifts it, too.`;
  if (seen === undefined) return { level: "fail", text: `and no ${by} is noted`, remedy: byHand };
  const { record, free } = seen;
  if (isEnd(record.state))
    return { level: "fail", text: `and ${named(record)}, the newest one, was ${record.state}`, remedy: byHand };
  if (!free) return { level: "ok", text: `while ${named(record)} is ${record.state}` };
  return {
    level: "fail",
    text: `and ${named(record)} left it behind: it is ${record.state}`,
    remedy: goOn(fenced, record),
  };
};

const goOn = (fenced: Fenced, record: CutoverRecord): string =>
  `${waysOn(record, switchCommand(fenced.by, fenced.state.name))}.`;

const fenceText = ({ side }: Fenced, ups: readonly Up[]): string =>
  ups.includes(null)
    ? `${side} refuses the writes of all its users`
    : `${side} refuses inserts and updates of ${ups.join(", ")}`;

/** Has anything ever been carried back? What may not be read is said, and counts as nothing. */
const isCarriedBack = (state: StateDb, say: Say): Promise<boolean> =>
  state.hasState().catch((error: unknown) => {
    if (!isFerry(error, "FERRY_MONGO_PRIVILEGE")) throw error;
    say("warn", `whether changes were ever carried back is not known: ${error.detail}`, error.entry.hint);
    return false;
  });

/** A fence that is up on a side, and whose it is; a cutover that a process left behind. Silent where there is neither. */
export const checkFence = (fenced: Fenced): Promise<CheckResult[]> =>
  checking("cutover", async (say) => {
    const { state, by } = fenced;
    if (by === "rollback" && !(await isCarriedBack(state, say))) return;
    const [seen, sent, fences] = await Promise.all([readNewestCutover(state), readSentOver(state), fencesOn(fenced)]);
    const found = fences.map((up) => ({ up, ...whoseOf(fenced, up, { sent, seen }) }));
    for (const group of Map.groupBy(found, ({ text }) => text).values()) {
      const ups = group.map(({ up }) => up);
      for (const { level, text, remedy } of group.slice(0, 1)) say(level, `${fenceText(fenced, ups)}, ${text}`, remedy);
    }
    const isLeft = seen?.free === true && !isEnd(seen.record.state);
    if (!isLeft || found.some(({ level }) => level === "fail")) return;
    const { record } = seen;
    say(
      "warn",
      `${by} ${record._id} was left behind: it is ${record.state}, and no process drives it`,
      goOn(fenced, record),
    );
  });
