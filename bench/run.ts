import { benchApply } from "./apply.ts";
import { benchCapture } from "./capture.ts";
import { benchDirect } from "./direct.ts";
import { benchDrain } from "./drain.ts";
import { benchFilter } from "./filter.ts";
import { benchLatency } from "./latency.ts";
import { benchLatencyDirect } from "./latencyDirect.ts";
import { PeerError } from "./lib/peers.ts";
import { benchNaturalOrder } from "./naturalOrder.ts";
import { benchResume } from "./resume.ts";
import { benchStartup } from "./startup.ts";
import { benchThrottle } from "./throttle.ts";

const BENCHES: Readonly<Record<string, (flags: Readonly<Record<string, string>>) => Promise<void>>> = {
  apply: benchApply,
  capture: benchCapture,
  direct: benchDirect,
  drain: benchDrain,
  filter: benchFilter,
  latency: benchLatency,
  "latency-direct": benchLatencyDirect,
  "natural-order": benchNaturalOrder,
  resume: benchResume,
  startup: benchStartup,
  throttle: benchThrottle,
};

const [name = "", ...rest] = process.argv.slice(2);
const bench = BENCHES[name];
if (bench === undefined) {
  console.error(`usage: npm run bench -- ${Object.keys(BENCHES).join(" | ")} [--flag value ...]`);
  process.exit(64);
}
const flags: Record<string, string> = {};
for (const [i, word] of rest.entries())
  if (word.startsWith("--")) {
    const [name, value] = [word.slice(2), rest[i + 1] ?? ""];
    flags[name] = flags[name] === undefined ? value : `${flags[name]}\n${value}`; // given again: one a line
  }
try {
  await bench(flags);
} catch (error) {
  if (!(error instanceof PeerError)) throw error;
  console.error(error.message);
  process.exit(70);
}
