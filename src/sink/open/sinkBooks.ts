import { readTallies } from "#sink/cognito/routeTally.ts";

/** What sinks note of their own work, for those who show it: outside of this house no file names a kind. */
export const readSinkTallies = readTallies;

export type SinkTally = Awaited<ReturnType<typeof readTallies>>[number];
