/**
 * How V8 collects. ferry's documents lie in buffers outside its heap, and by default every 64 MB of them, dead or alive, cost a
 * full collection of the heap: a third of a copy's time with documents of 4 KiB. Counted together with the heap, they make it
 * wait until both have doubled. Left to V8's own factor they may grow fourfold, for no gain in time. Imported first, for its
 * effect. Source: `node --v8-options`.
 */
import { setFlagsFromString } from "node:v8";

/** The engine whose flags they are; another one would complain of what it does not know. */
const V8 = "13.";

if (process.versions.v8.startsWith(V8)) {
  setFlagsFromString("--external-memory-accounted-in-global-limit");
  setFlagsFromString("--heap-growing-percent=100");
}
