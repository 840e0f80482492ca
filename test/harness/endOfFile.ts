/**
 * Loaded before each test file. A test that timed out is not unwound, and its servers would keep the process alive: it is made to exit
 * once its results had their time to be read (the exit hook of folders.ts ends the servers). `--test-force-exit` does not wait for that:
 * on a busy machine the last results of a file were lost, and it counted as passed.
 */
import { after } from "node:test";

const READ_MS = 500;

after(() => {
  setTimeout(() => process.exit(), READ_MS).unref();
});
