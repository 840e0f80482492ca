import { createRequire } from "node:module";

type Library = typeof import("@platformatic/kafka");

let loaded: Library | undefined;

/** The client library, loaded when it is needed first: it is two fifths of what a command takes to start, and most need none. */
export const library = (): Library => {
  loaded ??= createRequire(import.meta.url)("@platformatic/kafka") as Library;
  return loaded;
};
