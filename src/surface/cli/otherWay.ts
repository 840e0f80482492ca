import { resolveSettings } from "#base/config/settings.ts";
import { reverseState } from "#process/capture/stateNames.ts";
import type { Flags } from "./connections.ts";

/** The same flags for the way back: services write to the former target, and what carries back remembers on the former source. */
export const otherWay = <F extends Flags>(flags: F): F => {
  const { source, target, stateDb } = resolveSettings(flags, ["source", "target"]);
  const files = { sourceFile: undefined, targetFile: undefined, stateFile: undefined };
  return { ...flags, ...files, source: target, target: source, state: source, stateDb: reverseState(stateDb) };
};
