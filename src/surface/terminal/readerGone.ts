import { EventEmitter } from "node:events";

/** Of the signal that ends other commands then: what a shell shows for it. */
const STATUS = 141;

const isClosedPipe = (error: Error): boolean => (error as { code?: unknown }).code === "EPIPE";

/**
 * `gone`: stdout is no longer read. Not the signal itself: who listens to SIGPIPE gets it for each write to a connection that
 * has broken, and a server that restarts would stop ferry.
 */
export const reader = new EventEmitter<{ gone: [] }>();

/**
 * Who reads stdout has read enough (`ferry verify | head`): the command ends there as by SIGPIPE, quietly. One that stops softly by
 * signals takes it for one; any other has nothing to leave in order. Who does not read stderr stops nothing: what is said
 * there is said beside a command's work.
 */
export const endWithReader = (): void => {
  process.stdout.once("error", (error) => {
    process.stdout.on("error", () => undefined); // each further line fails as this one did
    if (!isClosedPipe(error)) throw error;
    if (!reader.emit("gone")) process.exit(STATUS);
  });
  process.stderr.on("error", (error) => {
    if (!isClosedPipe(error)) throw error;
  });
};
