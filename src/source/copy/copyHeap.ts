import { setFlagsFromString } from "node:v8";

/** The engine whose flags these are; another one would complain of what it does not know. */
const isKnown = process.versions.v8.startsWith("13.");

const withFlags = (flags: readonly string[], defaults: readonly string[]): Disposable => {
  const set = (all: readonly string[]): void => {
    if (isKnown) for (const flag of all) setFlagsFromString(flag);
  };
  set(flags);
  return { [Symbol.dispose]: () => set(defaults) };
};

/**
 * How V8 collects while documents are copied. They lie in buffers outside its heap, and by default every 64 MB of these, dead or
 * alive, cost a full collection of the heap: a third of a copy's time with documents of 4 KiB. Counted together with the heap,
 * they make it wait until both have doubled; left to V8's own factor they may grow fourfold, for no gain in time. What it is
 * elsewhere is better for streams, whose garbage lies in the heap, and for workers with a backlog of the largest documents,
 * which would need 600 MB instead of 440. Until the disposal. Source: `node --v8-options`.
 */
export const heapForCopying = (): Disposable =>
  withFlags(
    ["--external-memory-accounted-in-global-limit", "--heap-growing-percent=100"],
    ["--no-external-memory-accounted-in-global-limit", "--heap-growing-percent=0"],
  );

/**
 * The same where documents are compared and forgotten. What is young dies young, and holds on to whole replies until it is
 * collected: a space for it that does not grow needs a third less memory in all, for no loss of time (`npm run bench -- verify`).
 */
export const heapForComparing = (): Disposable => {
  const stack = new DisposableStack();
  stack.use(heapForCopying());
  stack.use(withFlags(["--semi-space-growth-factor=1"], ["--semi-space-growth-factor=2"]));
  return stack;
};
