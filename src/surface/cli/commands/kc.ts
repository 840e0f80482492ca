import type { Command } from "commander";
import { resolveSettings } from "#base/config/settings.ts";
import { systemClock } from "#base/flow/clock.ts";
import { retry } from "#base/flow/retry.ts";
import type { LogRecord } from "#base/flow/types.ts";
import { kafkaAddress } from "#io/kafka/address.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import { readable } from "#io/wire/readable.ts";
import { print, printData } from "#surface/terminal/output.ts";
import { withSignals } from "#surface/terminal/signals.ts";
import { type Flags, wholeNumber, withConnections } from "../connections.ts";

type KcFlags = Flags & Readonly<{ end?: boolean; limit: string }>;

/** One fetch, bytes; a single larger record still comes whole. */
const FETCH_BYTES = 1024 * 1024;
/** How long a partition at its end is waited on before the others get their turn, ms. */
const WAIT_MS = 300;
/** A broker that restarts is waited for this long, ms. */
const PATIENCE_MS = 60_000;

/** `ferry kc TOPIC`: a topic from its beginning, one readable line per record. */
export const registerKc = (command: Command): void => {
  command
    .argument("<topic>", "name of the topic")
    .option("-e, --end", "exit at the end instead of following")
    .option("--limit <n>", "characters shown of a key or value; 0 = all", "2000");
  withConnections(command, ["kafka"]).action((topic: string, flags: KcFlags) =>
    withSignals(({ soft }) => kc(topic, flags, soft)),
  );
};

const kc = async (name: string, flags: KcFlags, signal: AbortSignal): Promise<void> => {
  const settings = resolveSettings(flags, ["kafka"]);
  const limit = wholeNumber("--limit", flags.limit, { min: 0 }) || Number.POSITIVE_INFINITY;
  await using kafka = new KafkaClient({ ...kafkaAddress(settings), clientId: "ferry-kc", group: settings.group });
  const topic = await kafka.topicOf(name);
  await kafka.partitions(topic); // a missing topic is an immediate error, not a wait
  const positions = await kafka.offsets(topic, "earliest");
  const ended = new Set<number>();
  const allEnded = (): boolean => ended.size === positions.length;
  while (!signal.aborted && !(flags.end === true && allEnded())) {
    for (const [partition, offset] of positions.entries()) {
      if (signal.aborted) return;
      const request = { topic, partition, offset, maxBytes: FETCH_BYTES, maxWaitMs: allEnded() ? WAIT_MS : 0 };
      const result = await retry(() => kafka.fetch(request), {
        what: `reading ${topic} [${partition}]`,
        clock: systemClock,
        signal,
        giveUpAfterMs: PATIENCE_MS,
        maxPauseMs: 500,
      });
      show({ topic, partition, limit, asJson: flags.json === true }, result.records);
      positions[partition] = result.end;
      const moved = result.records.length > 0 || !ended.has(partition);
      if (result.end < result.highWatermark) ended.delete(partition);
      else ended.add(partition);
      if (ended.has(partition) && moved && flags.json !== true)
        print(`% Reached end of topic ${topic} [${partition}] at offset ${result.end}`);
    }
  }
};

type Shown = Readonly<{ topic: string; partition: number; limit: number; asJson: boolean }>;

const show = ({ topic, partition, limit, asJson }: Shown, records: readonly LogRecord[]): void => {
  for (const record of records) {
    const [key, value] = [readable(record.key, { limit }), readable(record.value, { limit })];
    const { offset, timestampMs } = record;
    if (asJson) printData(JSON.stringify({ topic, partition, offset, timestampMs, key, value }));
    else printData(`${key} => ${value}`);
  }
};
