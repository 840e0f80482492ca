import { CATALOGUE, type ErrorCode } from "#base/errors/catalogue.ts";
import { count, duration } from "#base/flow/figures.ts";
import type { Status } from "#process/report/status.ts";
import { failedPart } from "#source/connect/connectRest.ts";

/** What needs a person, and the exit status that says so. */
type Attention = Readonly<{ exit: number; text: string }>;

const need = (code: ErrorCode, text: string): Attention => ({ exit: CATALOGUE[code].exit, text });

/** Books that do not balance: the data path is not to be trusted. */
const UNBALANCED = 76;

const lettersTotal = ({ letters }: Status): number => letters.reduce((sum, one) => sum + one.letters, 0);

/** What waits, and no living process is there for it. */
const orphaned = ({ lanes, workers, own }: Status): readonly Attention[] => {
  const isAlive = workers.some(({ alive }) => alive);
  const records = isAlive ? 0 : lanes.reduce((sum, { lag }) => sum + lag, 0);
  const isUnread = own?.mode === "kafka" && lanes.length === 0 && !isAlive && own.documents > 0;
  const isLeft = own !== null && own.owner === null && own.state === "running" && own.ended === null;
  return [
    ...(records > 0 ? [need("FERRY_RUN_BEHIND", `${count(records)} records wait and no worker runs`)] : []),
    ...(isUnread ? [need("FERRY_RUN_BEHIND", `${count(own.documents, "document")} in Kafka, and no worker runs`)] : []),
    ...(isLeft && own.lagMs !== null && own.lagMs > 0
      ? [need("FERRY_RUN_BEHIND", "changes of the source wait and no process captures")]
      : []),
  ];
};

/** Connectors that have failed, but for those whose data is at stake, which say so themselves. */
const failed = ({ connectors, findings }: Status): readonly Attention[] =>
  connectors.flatMap(({ name, status }) => {
    const isSaid = findings.some(({ connector, dataAtStake }) => connector === name && dataAtStake);
    return failedPart(status) !== undefined && !isSaid ? [need("FERRY_CAPTURE_NOT_RUNNING", `${name} has FAILED`)] : [];
  });

/** The gravest first. */
export const needsOf = (found: Status): readonly Attention[] => {
  const { halted, findings, own, unread } = found;
  const letters = lettersTotal(found);
  const unbalanced = found.lanes.filter(({ imbalance }) => imbalance !== 0).length;
  return [
    ...halted.map(({ route, code }) => need(code, `${route} is halted (${code})`)),
    ...findings.filter(({ dataAtStake }) => dataAtStake).map(({ code }) => need(code, `data at stake (${code})`)),
    ...(unbalanced === 0
      ? []
      : [{ exit: UNBALANCED, text: `the books of ${count(unbalanced, "lane")} do not balance` }]),
    ...(own?.ended == null ? [] : [need(own.ended.code, `it ended with ${own.ended.code}`)]),
    ...(letters === 0 ? [] : [need("FERRY_RUN_LETTERS", "decide on the dead letters (`ferry dlq list`)")]),
    ...failed(found),
    ...orphaned(found),
    ...(unread.length === 0
      ? []
      : [need("FERRY_MONGO_UNREACHABLE", `could not be read: ${unread.map(({ part }) => part).join(", ")}`)]),
  ];
};

/** Exit status of `ferry status`; 0 where nothing needs a person. */
export const exitOf = (found: Status): number => {
  const [first] = needsOf(found);
  return first === undefined ? 0 : first.exit;
};

/** What is at work, in a few words. */
export const stateOfAll = ({ own, workers, connectors, halted }: Status): string => {
  const halt = halted.length > 0 ? "halted, " : "";
  if (own !== null) {
    const state = own.owner === null && own.state === "running" ? "not running" : own.state;
    return `${halt}${state}, ${own.phase}`;
  }
  const alive = workers.filter((worker) => worker.alive).length;
  return `${halt}${count(connectors.length, "connector")}, ${count(alive, "worker")}`;
};

const lagText = ({ lagMs }: Status): string[] => (lagMs === null ? [] : [`lag ${duration(lagMs)}`]);

/** `running, stream; copied 1,234; lag 0 s; no dead letters; needs no action` */
export const summaryOf = (found: Status): string => {
  const letters = lettersTotal(found);
  const needs = needsOf(found).map(({ text }) => text);
  return [
    stateOfAll(found),
    ...(found.own === null ? [] : [`copied ${count(found.own.copied)}`]),
    ...lagText(found),
    letters === 0 ? "no dead letters" : count(letters, "dead letter"),
    needs.length === 0 ? "needs no action" : `needs action: ${needs.join(", ")}`,
  ].join("; ");
};
