import { setFlagsFromString } from "node:v8";

/** The engine whose flags these are; another one would complain of what it does not know. */
const isKnown = process.versions.v8.startsWith("13.");

/**
 * How V8 collects while documents are copied. They lie in buffers outside its heap, and by default every 64 MB of these, dead or
 * alive, cost a full collection of the heap: a third of a copy's time with documents of 4 KiB. Counted together with the heap,
 * they make it wait until both have doubled; left to V8's own factor they may grow fourfold, for no gain in time. What it is
 * elsewhere is better for streams, whose garbage lies in the heap, and for workers with a backlog of the largest documents,
 * which would need 600 MB instead of 440. Until the disposal. Source: `node --v8-options`.
 */
export const heapForCopying = (): Disposable => {
  if (isKnown) {
    setFlagsFromString("--external-memory-accounted-in-global-limit");
    setFlagsFromString("--heap-growing-percent=100");
  }
  return {
    [Symbol.dispose]: () => {
      if (!isKnown) return;
      setFlagsFromString("--no-external-memory-accounted-in-global-limit");
      setFlagsFromString("--heap-growing-percent=0");
    },
  };
};
