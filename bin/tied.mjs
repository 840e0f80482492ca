// Loaded before the script where the launcher is another process: a launcher that is gone, however it ended, takes this
// process with it at once. Otherwise a killed `ferry` would silently continue to write.
import { Socket } from "node:net";
import { isMainThread } from "node:worker_threads";

/** The launcher holds the other end of this descriptor. */
const DESCRIPTOR = 3;

/** A process that this one starts may inherit the flag that loads this file; the descriptor it does not. */
const launcher = Number(new URL(import.meta.url).searchParams.get("launcher"));

const end = () => process.kill(process.pid, "SIGKILL");

const isAlive = (pid) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

if (isMainThread && process.ppid === launcher) {
  const held = new Socket({ fd: DESCRIPTOR, readable: true, writable: false });
  held.on("end", end).on("error", end).resume();
  held.unref();
} else if (isMainThread && !isAlive(launcher)) end(); // it was gone before this began
