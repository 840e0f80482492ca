/**
 * Loaded before each test file. A test that timed out is not unwound, and its servers would keep the process alive: it is made to exit
 * once its results had their time to be read (the exit hook of folders.ts ends the servers). `--test-force-exit` does not wait for that:
 * on a busy machine the last results of a file were lost, and it counted as passed.
 */
import { AsyncResource } from "node:async_hooks";
import { after } from "node:test";

const READ_MS = 500;

/** Of the whole file: a hook is added to what runs when it is added. */
const file = new AsyncResource("end of file");

const exitSoon = (): void => {
  setTimeout(() => process.exit(), READ_MS).unref();
};

// The first hook adds the last one: a file's own hooks stop its servers in between.
after(() => file.runInAsyncScope(() => after(exitSoon)));
