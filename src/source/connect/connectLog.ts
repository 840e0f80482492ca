import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/** What a local Connect's log says of one connector; absent where it says nothing. */
export type LogEvidence = Readonly<{
  /** The stream was opened without a position: everything before that moment is skipped. */
  reopened?: string;
  /** An event that belongs to no topic was dropped: the stream was invalidated. */
  unpublished?: string;
  /** The task is without a cursor and tries in vain. */
  noCursor?: string;
}>;

const TAIL_BYTES = 512 * 1024;

const tail = (file: string): string => {
  try {
    const fd = openSync(file, "r");
    try {
      const { size } = fstatSync(fd);
      const bytes = Buffer.alloc(Math.min(size, TAIL_BYTES));
      readSync(fd, bytes, 0, bytes.length, size - bytes.length);
      return bytes.toString("utf8");
    } finally {
      closeSync(fd);
    }
  } catch {
    return ""; // no local log: REST and the source itself must tell
  }
};

/** `2026-11-23T02:41:57,091 …` or `[2026-11-23 02:41:57,091] …`, in this machine's own time zone. */
const timeOf = (line: string): number => {
  const found = /^\[?(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})[,.](\d{3})/.exec(line);
  return found === null ? 0 : new Date(`${found[1]}T${found[2]}.${found[3]}`).getTime();
};

const PHRASES = {
  reopened: /New change stream cursor created without offset/,
  unpublished: /No topic set\. Could not publish/,
  noCursor: /Unable to recreate the cursor/,
} as const;
const MAX_LINE = 160;

/**
 * Reads the end of Connect's log for what its REST API hides. Lines before `sinceMs`, and those that carry another
 * connector's name (`[NAME|task-0]`), do not count. `noCursor` counts only when it is among the last ten seconds.
 */
export const readConnectLog = (file: string, connector: string, sinceMs: number, nowMs: number): LogEvidence => {
  const evidence: { -readonly [K in keyof LogEvidence]: string } = {};
  for (const line of tail(file).split("\n")) {
    const at = timeOf(line);
    if (at < sinceMs) continue;
    const context = /\[([^\]|]+)\|[^\]]*\]/.exec(line)?.[1];
    if (context !== undefined && context !== connector) continue;
    for (const [kind, phrase] of Object.entries(PHRASES) as [keyof LogEvidence, RegExp][]) {
      if (!phrase.test(line) || (kind === "noCursor" && at < nowMs - 10_000)) continue;
      evidence[kind] = line.slice(0, MAX_LINE);
    }
  }
  return evidence;
};
