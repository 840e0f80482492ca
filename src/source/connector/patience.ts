import type { Clock } from "#base/flow/clock.ts";
import { retry } from "#base/flow/retry.ts";

/** A topic that was just made has no leader for a moment, a broker that restarts is away for some: waited for this long, ms. */
const PATIENCE_MS = 30_000;

/** Repeats a request to Kafka while it says that trying again can help. @throws FERRY_KAFKA_* */
export const patiently = <T>(
  { clock, signal }: Readonly<{ clock: Clock; signal?: AbortSignal | undefined }>,
  what: string,
  work: () => Promise<T>,
): Promise<T> => retry(work, { what, clock, signal, giveUpAfterMs: PATIENCE_MS, maxPauseMs: 500 });
