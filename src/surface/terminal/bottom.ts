/**
 * What stays at the bottom of the terminal while lines are written above it. One for the process, as the terminal is: code that writes
 * to stdout or stderr asks here first.
 */
export interface Bottom {
  /** Writes whole lines above. */
  above(text: string): void;
  /** Leaves the terminal to another until it is disposed of. */
  leave(): Disposable;
}

let bottom: Bottom | undefined;

const NOTHING: Disposable = { [Symbol.dispose]: () => undefined };

/** Until it is disposed of, lines are written above this. */
export const stay = (one: Bottom): Disposable => {
  bottom = one;
  return {
    [Symbol.dispose]: () => {
      if (bottom === one) bottom = undefined;
    },
  };
};

/** Whole lines to one of the two streams; above what stays at the bottom of the terminal that they share. */
export const writeLines = (stream: NodeJS.WriteStream, text: string): void => {
  if (bottom === undefined) stream.write(text);
  else bottom.above(text);
};

/** The terminal is free until it is disposed of: for a question. */
export const freeTerminal = (): Disposable => bottom?.leave() ?? NOTHING;
