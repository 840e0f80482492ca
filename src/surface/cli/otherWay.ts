import { resolveSettings } from "#base/config/settings.ts";
import { listed } from "#base/flow/namespaceFilter.ts";
import { reverseState } from "#process/capture/stateNames.ts";
import type { Flags } from "./connections.ts";

/** Certificates of the same servers stay unchecked. */
const uncheckedBack = (sides: string | undefined): string | undefined => {
  const back = { source: "target,state", target: "source", state: undefined };
  const named = listed(sides ?? "").flatMap((side) => back[side as keyof typeof back] ?? []);
  return named.length === 0 ? undefined : named.join(",");
};

/** The same flags for the way back: services write to the former target, and what carries back remembers on the former source. */
export const otherWay = <F extends Flags>(flags: F): F => {
  const { source, target, stateDb, tlsUnchecked } = resolveSettings(flags, ["source", "target"]);
  const files = { sourceFile: undefined, targetFile: undefined, stateFile: undefined };
  return {
    ...flags,
    ...files,
    source: target,
    target: source,
    state: source,
    stateDb: reverseState(stateDb),
    tlsUnchecked: uncheckedBack(tlsUnchecked),
  };
};
