import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

/**
 * What holds state or a place: what ferry remembers, where documents or records go, and what lets them pass. All others get it
 * handed down.
 */
const WIRED = /^\w*(?:Store|Sink|Gate|Ledger|Book|Log|Output|Producer)$|^(?:Claims|Drops|RunControl)$/;

/** Where it may be made (docs/adr/0024): one place for each process. */
const WIRING = {
  "ferry worker": [
    "process/worker/workerWiring.ts",
    "process/worker/workerStores.ts",
    "process/worker/partitionWiring.ts",
  ],
  "ferry run": ["process/run/runWiring.ts"],
  "ferry capture": ["process/capture/captureWiring.ts"],
  "ferry cutover": ["process/switch/switchWiring.ts"],
  "ferry finalize": ["process/switch/finalizeRun.ts"],
  "ferry dlq and ferry repair, of a run that has ended": ["process/worker/replayAlone.ts"],
  "ferry verify": [
    "proof/verify/verifyNamespaces.ts",
    "proof/verify/followNamespaces.ts",
    "proof/verify/routePairs.ts",
  ],
  "ferry repair": ["proof/repair/repairWrong.ts"],
  "ferry control: what its page shows, and who may see it": [
    "process/report/overview.ts",
    "process/control/tokenStore.ts",
  ],
  "an operator's decision, by a command or by the API": [
    "process/steer/decideDrift.ts",
    "process/steer/decideLetters.ts",
    "process/steer/steerCapture.ts",
    "process/control/switchDesk.ts",
  ],
  "a route's sink, by the kind of its destination": ["sink/open/openSink.ts", "sink/cognito/openCognito.ts"],
};

/** A short command, and a request of the API, is its own wiring. */
const SURFACE = "surface/";

const files = readdirSync("src", { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
const texts = new Map(files.map((file) => [file, readFileSync(join("src", file), "utf8")]));

/** Classes of the kind that a file makes and does not declare: one with a factory of its own makes itself. */
const madeIn = (text: string): readonly string[] =>
  [...text.matchAll(/\bnew (\w+)\(/g)]
    .map(([, name = ""]) => name)
    .filter((name) => WIRED.test(name) && !text.includes(`class ${name} `));

test("stores, sinks and gates are made in the wiring of a process, and nowhere else", () => {
  const allowed = new Set<string>(Object.values(WIRING).flat());
  const makers = [...texts].filter(([file, text]) => !file.startsWith(SURFACE) && madeIn(text).length > 0);
  const strays = makers.filter(([file]) => !allowed.has(file)).map(([file, text]) => `${file}: ${madeIn(text)}`);
  assert.deepEqual(strays, []);
  const idle = [...allowed].filter((file) => !makers.some(([maker]) => maker === file));
  assert.deepEqual(idle, [], "these make nothing any more");
});

test("what a class is made with is named field by field", () => {
  const spread = /(?:\bnew \w+|\.open)\(\s*\{[^}]*\.\.\.(?:this\.#\w+|deps|context|options|sides)\b(?!\.)/g;
  const found = [...texts].flatMap(([file, text]) =>
    [...text.matchAll(spread)].map(([hit]) => `${file}: ${hit.replaceAll(/\s+/g, " ")}`),
  );
  assert.deepEqual(found, []);
});
