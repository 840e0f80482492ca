import { setFlagsFromString } from "node:v8";

/** The engine whose flags these are; another one would complain of what it does not know. */
const V8 = "13.";

/**
 * For commands that copy. Documents lie in buffers outside V8's heap, and by default every 64 MB of them, dead or alive, cost a
 * full collection of the heap: a third of a copy's time with documents of 4 KiB. Counted together with the heap, they make it
 * wait until both have doubled. Left to V8's own factor they may grow fourfold, for no gain in time. Not for a worker: with a
 * backlog of the largest documents it would need 600 MB instead of 440, and promises 512. Source: `node --v8-options`.
 */
export const countBuffersWithHeap = (): void => {
  if (!process.versions.v8.startsWith(V8)) return;
  setFlagsFromString("--external-memory-accounted-in-global-limit");
  setFlagsFromString("--heap-growing-percent=100");
};
