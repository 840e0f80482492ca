import { useSyncExternalStore } from "react";

/** Where in the console one is: the part of the address after `#`, as `#/dead-letters`. */
const current = (): string => window.location.hash.replace(/^#\/?/, "");

const subscribe = (listener: () => void): (() => void) => {
  window.addEventListener("hashchange", listener);
  return () => window.removeEventListener("hashchange", listener);
};

export const usePlace = (): string => useSyncExternalStore(subscribe, current);
