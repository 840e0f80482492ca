// Loaded before the script where the launcher is another process: a launcher that is gone, however it ended, takes this
// process with it at once. Otherwise a killed `ferry` would go on writing, and nobody would know.
import { Socket } from "node:net";
import { isMainThread } from "node:worker_threads";

/** The launcher holds the other end of this descriptor. */
const LAUNCHER = 3;

if (isMainThread) {
  const launcher = new Socket({ fd: LAUNCHER, readable: true, writable: false });
  const end = () => process.kill(process.pid, "SIGKILL");
  launcher.on("end", end).on("error", end).resume();
  launcher.unref();
}
