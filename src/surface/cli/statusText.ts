import { CATALOGUE } from "#base/errors/catalogue.ts";
import { count, duration, megabytes } from "#base/flow/figures.ts";
import type { CaptureLine, LaneLine, Status, WorkerLine } from "#process/report/status.ts";
import type { RunState } from "#source/capture/captureLifecycle.ts";
import { wrapped } from "#surface/terminal/cells.ts";
import { summaryOf } from "#surface/terminal/statusSummary.ts";
import { table } from "#surface/terminal/textTable.ts";

const section = (title: string, lines: readonly string[]): string[] =>
  lines.length === 0 ? [] : [title, "", ...lines, ""];

const connectorLines = ({ connectors }: Status): string[] =>
  connectors.map(({ name, config, status }) => {
    const tasks = status.tasks.map(({ state }) => state).join(", ");
    return [status.type, name, status.connector.state, tasks || "no task", config["connector.class"]].join("  |  ");
  });

const oplogLines = ({ oplog }: CaptureLine): string[] => {
  if (oplog === null) return [];
  const { windowSeconds, leftSeconds, short, atMs } = oplog;
  const seconds = (n: number): string => duration(Math.max(0, n) * 1000);
  const left = `the source's oplog reaches back ${seconds(windowSeconds)}, ${seconds(leftSeconds)} of it before the position`;
  const warning = short ? "; FERRY_SOURCE_OPLOG_SHORT: enlarge it, or changes will be lost" : "";
  return [`${left} (at ${new Date(atMs).toISOString()})${warning}`];
};

const spoolLines = ({ spool }: CaptureLine): string[] => {
  if (spool === null) return [];
  const { bytes, limitBytes, positionMs, full, atMs } = spool;
  const held = `the change stream is spooled up to ${new Date(positionMs).toISOString()}: ${megabytes(bytes)} of at most ${megabytes(limitBytes)}`;
  const warning = full === null ? "" : `; FERRY_CAPTURE_SPOOL_FULL: ${full}`;
  return [`${held} (at ${new Date(atMs).toISOString()})${warning}`];
};

/** Documents are an estimate of the source's: while ranges are left it is never said that all are there. */
const copyText = ({ documents, estimate, ranges, rangesDone }: CaptureLine): string => {
  const done = `${count(documents, "document")} in ${rangesDone} of ${ranges} ranges`;
  if (estimate === null || estimate === 0 || rangesDone === ranges) return done;
  return `${done}, ${Math.min(99, Math.floor((documents / estimate) * 100))} % of about ${count(estimate)}`;
};

const captureLines = ({ own }: Status): string[] => {
  if (own === null) return [];
  const { mode, phase, owner, generation, positionMs, collections } = own;
  return [
    `${mode === "direct" ? "ferry run" : "ferry capture"}: ${phase} of ${collections} collections, position ${new Date(positionMs).toISOString()}`,
    `${own.mode === "direct" ? "copied" : `copied ${count(own.copied)}, captured`} ${copyText(own)}${generation > 1 ? `, copy number ${generation}` : ""}`,
    owner === null ? "no process captures" : `captured by ${owner}`,
    ...(own.ended === null
      ? []
      : [`it ended at ${own.ended.at.toISOString()} with ${own.ended.code}: ${own.ended.detail}`]),
    ...(own.lagMs === null
      ? []
      : [
          `the oldest change that is not ${own.mode === "direct" ? "on the target" : "in Kafka"} is ${duration(own.lagMs)} old`,
        ]),
    ...oplogLines(own),
    ...spoolLines(own),
  ];
};

/** What an operator has asked of a run, as far as it has come. */
const STATES: Readonly<Record<Exclude<RunState, "running">, string>> = {
  pausing: "pausing: buffered changes are applied first",
  paused: "paused until `ferry resume`: nothing is captured",
  draining:
    "draining: it is finalized as soon as everything is applied that the source had when `ferry finalize` was called",
  finalizing: "finalizing: restoring deferred constraints",
  finalized: "finalized: the run is over",
};

const stateLines = ({ own }: Status): string[] => (own === null || own.state === "running" ? [] : [STATES[own.state]]);

/** `received 7 applied 4 filtered 3 (where 2, tombstone 1) …` */
const booksText = ({ counts, filteredBy }: LaneLine): string => {
  const reasons = Object.entries(filteredBy).map(([reason, n]) => `${reason} ${count(n)}`);
  return Object.entries(counts)
    .map(([what, n]) => `${what} ${count(n)}${what === "filtered" && n > 0 ? ` (${reasons.join(", ")})` : ""}`)
    .join(" ");
};

const imbalanceText = ({ imbalance }: LaneLine): string => {
  if (imbalance === 0) return "";
  const events = Math.abs(imbalance) === 1 ? "1 event is" : `${count(Math.abs(imbalance))} events are`;
  return `; THE BOOKS DO NOT BALANCE: ${events} ${imbalance > 0 ? "missing" : "counted twice"}`;
};

const laneLine = (lane: LaneLine): string[] => [
  `${lane.route} [${lane.partition}]/${lane.slice}`,
  `offset ${count(lane.offset)}`,
  `lag ${count(lane.lag)}`,
  `${booksText(lane)}${imbalanceText(lane)}`,
  `epoch ${lane.epoch}`,
  lane.owner ?? "no owner",
];

const workerLine = ({ id, alive, seenMsAgo, report }: WorkerLine): string[] => [
  id,
  alive ? "alive" : `not seen for ${duration(seenMsAgo)}`,
  `${count(report.appliedPerSecond)}/s`,
  `lag ${report.lagMs === null ? "none" : duration(report.lagMs)}`,
  `${count(report.rssMb)} MB`,
  report.guarantee,
  ...throttleText(report.throttle),
];

const poolLine = ({ route, pool, changed, unchanged, perSecond, leftMs }: Status["pools"][number]): string[] => [
  route,
  `pool ${pool}`,
  `${count(changed)} users changed`,
  `${count(unchanged, "document")} needed no call`,
  `at most ${count(perSecond)}/s lately${leftMs === null || leftMs === 0 ? "" : `: about ${duration(leftMs)} for what waits`}`,
];

const throttleText = (throttle: WorkerLine["report"]["throttle"]): string[] => {
  if (throttle === null) return [];
  const { share, latencyMs, limitMs } = throttle;
  const answers = latencyMs === null ? "" : `, the target answers in ${latencyMs.toFixed(1)} ms of ${limitMs} ms`;
  return [`writes ${Math.round(share * 100)} % of the time${answers}`];
};

/** Lines of the seed's shape: people and their scripts know them by sight, and look for them as they are. */
const KNOWN = /^("topic": |% Reached end of topic |\w+ {2}\| {2})/;

/** The status for a terminal: no line is wider, but for those of the seed's shape. */
export const statusWithin = (text: string, columns: number): string =>
  text
    .split("\n")
    .map((line) => (KNOWN.test(line) ? line : wrapped(line, columns)))
    .join("\n");

/** One line of summary, then the seed's shape, then what ferry adds. */
export const formatStatus = (found: Status): string =>
  [
    summaryOf(found),
    "",
    ...section(
      "Kafka topics:",
      found.topics.map((topic) => `"topic": ${JSON.stringify(topic)}`),
    ),
    ...section("The status of the connectors:", connectorLines(found)),
    "Currently configured connectors",
    "",
    JSON.stringify(
      found.connectors.map(({ name }) => name),
      null,
      2,
    ),
    "",
    ...section(
      "End of the data topics:",
      found.ends.map(
        ({ topic, partition, offset }) => `% Reached end of topic ${topic} [${partition}] at offset ${offset}`,
      ),
    ),
    ...section("ferry's own capture:", [...captureLines(found), ...stateLines(found)]),
    ...section("Worker lanes:", found.lanes.length === 0 ? [] : [table(found.lanes.map(laneLine))]),
    ...section("Workers:", found.workers.length === 0 ? [] : [table(found.workers.map(workerLine))]),
    ...section("User pools:", found.pools.length === 0 ? [] : [table(found.pools.map(poolLine))]),
    ...section(
      "Dead letters:",
      found.letters.map(({ route, letters }) => `${route}  ${count(letters)}`),
    ),
    ...section(
      "Halted:",
      found.halted.map(({ route, code, detail }) => `${route}  ${code}: ${detail}`),
    ),
    ...section("Needs attention:", [
      ...found.findings.map(
        ({ code, sentence, remedy, dataAtStake }) =>
          `${dataAtStake ? "DATA AT STAKE  " : ""}${code}: ${sentence}\n  ${remedy}`,
      ),
      ...found.notes.map(
        ({ route, code, detail }) =>
          `${route}  ${code}: ${CATALOGUE[code].meaning} (${detail})\n  ${CATALOGUE[code].hint}`,
      ),
    ]),
    ...section(
      "Could not be read:",
      found.unread.map(({ part, reason }) => `${part}: ${reason}`),
    ),
  ]
    .join("\n")
    .trimEnd();
