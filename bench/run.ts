import { benchApply } from "./apply.ts";
import { benchCapture } from "./capture.ts";
import { benchDirect } from "./direct.ts";
import { benchDrain } from "./drain.ts";
import { benchFilter } from "./filter.ts";
import { benchLatency } from "./latency.ts";
import { benchLatencyDirect } from "./latencyDirect.ts";
import { benchThrottle } from "./throttle.ts";

const BENCHES: Readonly<Record<string, (flags: Readonly<Record<string, string>>) => Promise<void>>> = {
  apply: benchApply,
  capture: benchCapture,
  direct: benchDirect,
  drain: benchDrain,
  filter: benchFilter,
  latency: benchLatency,
  "latency-direct": benchLatencyDirect,
  throttle: benchThrottle,
};

const [name = "", ...rest] = process.argv.slice(2);
const bench = BENCHES[name];
if (bench === undefined) {
  console.error(`usage: npm run bench -- ${Object.keys(BENCHES).join(" | ")} [--flag value ...]`);
  process.exit(64);
}
const flags = Object.fromEntries(
  rest.flatMap((word, i) => (word.startsWith("--") ? [[word.slice(2), rest[i + 1] ?? ""]] : [])),
);
await bench(flags);
