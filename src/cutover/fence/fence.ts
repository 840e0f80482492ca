import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import type { Fence, FenceDeps, FenceKind } from "#cutover/machine/parts.ts";
import { HookFence } from "./hookFence.ts";
import { NoFence } from "./noFence.ts";
import { ValidatorFence } from "./validatorFence.ts";
import { WriteBlock } from "./writeBlock.ts";

/** A fence as the operator names it; `command`: of a hook. */
export type FenceChoice = Readonly<{ kind: FenceKind; command?: string }>;

/** @param text `user-write-block`, `validator`, `hook:COMMAND` or `none`. @throws FERRY_CUTOVER_FENCE */
export const parseFence = (text: string): FenceChoice => {
  const command = /^hook:(.+)$/s.exec(text)?.[1]?.trim();
  if (command !== undefined && command !== "") return { kind: "hook", command };
  if (text === "user-write-block" || text === "validator" || text === "none") return { kind: text };
  const why = text.startsWith("hook") ? "a hook names its command: hook:COMMAND" : `there is no fence "${text}"`;
  throw new FerryError("FERRY_CUTOVER_FENCE", why);
};

/** @throws FERRY_CUTOVER_FENCE where it stops more than what is switched over */
export const fenceOf = ({ kind, command = "" }: FenceChoice, deps: FenceDeps & Readonly<{ clock: Clock }>): Fence => {
  switch (kind) {
    case "user-write-block":
      if (deps.named.length > 0)
        throw new FerryError(
          "FERRY_CUTOVER_FENCE",
          "user-write-block stops the whole cluster; --namespace needs another",
        );
      return new WriteBlock(deps.source);
    case "validator":
      return new ValidatorFence(deps);
    case "hook":
      return new HookFence(command, deps);
    case "none":
      return new NoFence(deps);
    default:
      return kind satisfies never;
  }
};
