import { benchApply } from "./apply.ts";
import { benchCapture } from "./capture.ts";
import { benchCognito } from "./cognito.ts";
import { benchCutover } from "./cutover.ts";
import { benchDirect } from "./direct.ts";
import { benchDrain } from "./drain.ts";
import { benchFilter } from "./filter.ts";
import { benchLatency } from "./latency.ts";
import { benchLatencyDirect } from "./latencyDirect.ts";
import type { Bench } from "./lib/bench.ts";
import { benchNaturalOrder } from "./naturalOrder.ts";
import { benchResume } from "./resume.ts";
import { benchStartup } from "./startup.ts";
import { benchThrottle } from "./throttle.ts";
import { benchVerify } from "./verify.ts";

/** All of them, by the name that is typed. Each is run at a tiny scale by test/integration/benches.test.ts. */
export const BENCHES: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
  apply: benchApply,
  capture: benchCapture,
  cognito: benchCognito,
  cutover: benchCutover,
  direct: benchDirect,
  drain: benchDrain,
  filter: benchFilter,
  latency: benchLatency,
  "latency-direct": benchLatencyDirect,
  "natural-order": benchNaturalOrder,
  resume: benchResume,
  startup: benchStartup,
  throttle: benchThrottle,
  verify: benchVerify,
};
