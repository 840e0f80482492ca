import type { ErrorCode } from "#base/errors/catalogue.ts";

/** What a failed task's trace comes down to. */
export type TaskFailure = Readonly<{ code: ErrorCode; line: string }>;

/**
 * Known causes by what the server, Kafka and Connect write into a trace. Text is all that Connect's REST API gives, so
 * this is the one place that reads it; test/unit/source/connect/taskTrace.test.ts holds a real trace of each.
 */
const CAUSES: readonly (readonly [RegExp, ErrorCode])[] = [
  [/RecordTooLargeException|larger than the max message size/, "FERRY_CAPTURE_RECORD_TOO_LARGE"],
  [/ChangeStreamHistoryLost|error 286\b|may no longer be in the oplog/, "FERRY_CAPTURE_HISTORY_LOST"],
  [/BSONObjectTooLarge|error 10334\b/, "FERRY_CAPTURE_EVENT_TOO_LARGE"],
  [/InvalidTopicException|[Ii]nvalid topic/, "FERRY_CAPTURE_TOPIC_NAME"],
  [/Invalid schema type for ByteArrayConverter: STRING/, "FERRY_CAPTURE_KEY_FORMAT"],
];

const MAX_LINE = 300;

const shorten = (line: string): string => {
  const plain = line
    .trim()
    .replace(/^Caused by: /, "")
    .replace(/^(?:[\w$]+\.)+(?=[\w$]+(?:Exception|Error)\b)/, ""); // the class name says enough without its package
  return plain.length > MAX_LINE ? `${plain.slice(0, MAX_LINE)}…` : plain;
};

/** The line of a Java trace that tells: the one that names a known cause, else the innermost cause, else the first. */
export const readTrace = (trace: string): TaskFailure => {
  const lines = trace.split("\n").filter((line) => line.trim() !== "" && !/^\s*(at |\.\.\. \d+ more)/.test(line));
  for (const [pattern, code] of CAUSES) {
    const line = lines.find((candidate) => pattern.test(candidate));
    if (line !== undefined) return { code, line: shorten(line) };
  }
  const innermost = lines.filter((line) => line.startsWith("Caused by:")).at(-1) ?? lines[0] ?? "no trace";
  return { code: "FERRY_CAPTURE_TASK_FAILED", line: shorten(innermost) };
};
