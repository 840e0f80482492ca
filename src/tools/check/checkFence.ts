import { parseNamespace } from "#base/flow/types.ts";
import { fencedAmong } from "#cutover/fence/validatorFence.ts";
import { isWriteBlocked } from "#cutover/fence/writeBlock.ts";
import { CutoverStore } from "#cutover/machine/cutoverStore.ts";
import { isEnd, mayHaveReleased } from "#cutover/machine/cutoverTable.ts";
import type { Seen } from "#cutover/machine/record.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { CaptureStore } from "#source/capture/captureStore.ts";
import { type CheckResult, checking } from "./checkResult.ts";

/** What is up on the source, as the end of a sentence; undefined where nothing is. */
const fenceOn = async (source: MongoClient, state: StateDb): Promise<string | undefined> => {
  if ((await isWriteBlocked(source)) === true) return "the source refuses the writes of all its users";
  const topics = (await new CaptureStore(state, "", 0).read())?.topics ?? [];
  const fenced = await fencedAmong(
    source,
    topics.map(({ name }) => parseNamespace(name)),
  );
  return fenced.length === 0 ? undefined : `the source refuses inserts and updates of ${fenced.join(", ")}`;
};

/** What the newest cutover says of it. */
const whoseOf = (seen: Seen | undefined): Readonly<{ level: "ok" | "fail"; text: string }> => {
  if (seen === undefined) return { level: "fail", text: "and no cutover is noted" };
  const { record, free } = seen;
  const named = `cutover ${record._id} (${record.fence})`;
  if (record.state === "over" || record.state === "ending")
    return { level: "ok", text: `since ${named} sent services to the target` };
  if (!isEnd(record.state) && !free) return { level: "ok", text: `while ${named} is ${record.state}` };
  return { level: "fail", text: `and ${named} left it behind: it was ${record.state}` };
};

/** A fence that is up, and whose it is; a cutover that a process left behind. Silent where there is neither. */
export const checkFence = (source: MongoClient, state: StateDb): Promise<CheckResult[]> =>
  checking("cutover", async (say) => {
    const [seen, fence] = [await new CutoverStore(state, "", 0).latest(), await fenceOn(source, state)];
    const remedy = "`ferry cutover --abort` lifts it; `ferry cutover` resumes it.";
    if (fence !== undefined) {
      const { level, text } = whoseOf(seen);
      say(level, `${fence}, ${text}`, level === "fail" ? remedy : undefined);
    } else if (seen?.free === true && !isEnd(seen.record.state)) {
      const { _id, state } = seen.record;
      const next = mayHaveReleased(state) ? "`ferry cutover` resumes it." : remedy;
      say("warn", `cutover ${_id} was left behind: it is ${state}, and no process drives it`, next);
    }
  });
