import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Bench } from "./lib/bench.ts";
import { MAIN } from "./lib/ferryCommand.ts";
import { mongodVersion, type Pair, pause } from "./lib/pair.ts";
import { median, type Row, report } from "./lib/report.ts";
import { DB } from "./lib/topics.ts";

const COLL = "started";
const LIMIT_MS = 60_000;
const REST_MS = 3000;

/** Starts `ferry ARGS`; `until` resolves with the ms that it took to say a text, or to end. */
const ferry = (args: readonly string[]) => {
  const began = performance.now();
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(child, "exit").then(() => performance.now() - began);
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const says = async (text: string): Promise<number> => {
    while (!said.includes(text)) {
      if (child.exitCode !== null || performance.now() - began > LIMIT_MS) throw new Error(`no "${text}": ${said}`);
      await pause(2);
    }
    return performance.now() - began;
  };
  return { ended, says };
};

const round = async ({ source, target, here, there }: Pair, at: number, restMs: number): Promise<Row> => {
  const stateDb = `ferry_startup_${at}`;
  const coll = `${COLL}_${at}`;
  await here
    .db(DB)
    .collection(coll)
    .insertMany(Array.from({ length: 100 }, (_, n) => ({ n })));
  const sides = ["--source", source.uri, "--target", target.uri, "--state-db", stateDb];
  const version = await ferry(["--version"]).ended;
  const run = ferry(["run", ...sides, "--include", `${DB}.${coll}`]);
  const streaming = await run.says("copy finished");
  await pause(restMs); // at rest
  const finalized = await ferry(["finalize", ...sides]).ended;
  await run.ended;
  const copied = await there.db(DB).collection(coll).countDocuments();
  if (copied !== 100) throw new Error(`${copied} of 100 documents`);
  return {
    "node alone ms": Math.round(version),
    "start → stream ms": Math.round(streaming),
    "finalize ms": Math.round(finalized),
  };
};

/**
 * `npm run bench -- startup [--rounds 3] [--scale 1]`: a hundred documents, from the command to the stream, and `ferry finalize` of
 * the run at rest.
 */
export const benchStartup = async (bench: Bench): Promise<void> => {
  await using pair = await bench.pair();
  const rows: Row[] = [];
  for (let at = 0; at < bench.rounds; at++) rows.push(await round(pair, at, bench.sized(REST_MS)));
  const of = (name: string): number => median(rows.map((row) => Number(row[name])));
  const ratios = { "start → stream ms": of("start → stream ms"), "finalize ms": of("finalize ms") };
  report({ name: "startup", rows, ratios, versions: { mongod: await mongodVersion(pair) } }, bench.full);
};
