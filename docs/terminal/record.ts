/**
 * `node bin/bootstrap.mjs docs/terminal/record.ts`: records `ferry run` on a terminal while it copies a real collection and then
 * follows its source, with two servers of its own. Writes run.cast (asciicast v2; play it with asciinema) and run.svg, a still of
 * it for README.md. Each keeps what a person would see; times are those of the run.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startPair } from "../../bench/lib/pair.ts";
import { bareEnvironment, NODE_FLAGS } from "../../test/harness/ferry.ts";
import { OnTerminal, type TerminalEvent } from "../../test/harness/onTerminal.ts";
import { Screen } from "../../test/harness/screen.ts";
import { svgOf } from "./svg.ts";

const [COLUMNS, ROWS] = [96, 14];
const DOCUMENTS = Number(process.argv[2] ?? 2_000_000);
const BATCH = 50_000;

/** Larger than this is no still and no small recording, bytes. */
const MOST_BYTES = 200_000;

/** What a person types, shown as typed; the addresses come from the environment. */
const TYPED = "ferry run --include 'shop.*'";

const folder = import.meta.dirname;

const filled = async (pair: Awaited<ReturnType<typeof startPair>>): Promise<void> => {
  const orders = pair.here.db("shop").collection<{ _id: number }>("orders");
  for (let from = 0; from < DOCUMENTS; from += BATCH)
    await orders.insertMany(
      Array.from({ length: Math.min(BATCH, DOCUMENTS - from) }, (_, i) => ({
        ...{ _id: from + i, customer: `customer-${(from + i) % 9973}`, total: ((from + i) * 37) % 10_000 },
        lines: [{ article: (from + i) % 500, count: 1 + ((from + i) % 3) }],
      })),
      { ordered: false },
    );
  await orders.createIndex({ customer: 1 });
};

/** Services that go on writing while everything is copied. */
const writing = async (pair: Awaited<ReturnType<typeof startPair>>, ended: AbortSignal): Promise<void> => {
  const orders = pair.here.db("shop").collection<{ _id: number }>("orders");
  for (let n = 0; !ended.aborted; n++) {
    await orders.updateOne({ _id: (n * 7919) % DOCUMENTS }, { $inc: { total: 1 } });
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
};

const record = async (): Promise<readonly TerminalEvent[]> => {
  await using pair = await startPair();
  await filled(pair);
  const env = {
    ...bareEnvironment({ FERRY_SOURCE: pair.source.uri, FERRY_TARGET: pair.target.uri }),
    ...{ TERM: "xterm-256color", LANG: "C.UTF-8" },
  };
  const ended = new AbortController();
  const services = writing(pair, ended.signal);
  await using run = new OnTerminal(
    [COLUMNS, ROWS],
    [process.execPath, ...NODE_FLAGS, "run", "--include", "shop.*"],
    env,
  );
  await run.shows(/stream.*changes.*\/s/, 600_000);
  await new Promise((resolve) => setTimeout(resolve, 5000));
  run.signal("SIGINT");
  await run.ends();
  ended.abort();
  await services;
  return run.events;
};

/** The largest picture of the copy that was shown: its events up to there. */
const untilHalf = (events: readonly TerminalEvent[]): number => {
  const at = events.findLastIndex(([, , value]) => /copy .*\b[5-7]\d %/.test(String(value)));
  return at < 0 ? events.length - 1 : at;
};

const events = await record();
const begun = events[0]?.[0] ?? 0;
const prompt: TerminalEvent = [0, "o", `$ \u001b[1m${TYPED}\u001b[0m\r\n`];
const shown = [
  prompt,
  ...events.flatMap((event): TerminalEvent[] =>
    event[1] === "o" ? [[Math.round((event[0] - begun + 0.5) * 1000) / 1000, "o", event[2]]] : [],
  ),
];
const header = { version: 2, width: COLUMNS, height: ROWS, title: TYPED, env: { TERM: "xterm-256color" } };
const cast = `${[header, ...shown].map((line) => JSON.stringify(line)).join("\n")}\n`;
using screen = new Screen(COLUMNS, ROWS);
for (const [, , text] of shown.slice(0, untilHalf(shown) + 1)) await screen.write(String(text));
const svg = svgOf(screen.cells(), `${TYPED} on a terminal: its log, and below it how far it is`);
for (const [name, text] of [
  ["run.cast", cast],
  ["run.svg", svg],
] as const) {
  if (text.length > MOST_BYTES) throw new Error(`${name} has ${text.length} bytes`);
  writeFileSync(join(folder, name), text);
  console.log(`${name}: ${text.length} bytes`);
}
