import type { Command } from "commander";
import { resolveSettings, settingVariables } from "#base/config/settings.ts";
import { type FenceChoice, parseFence } from "#cutover/fence/fence.ts";
import type { SwitchChosen, SwitchFlags } from "#process/control/switchDesk.ts";
import { connectAddress } from "#source/connect/connectAddress.ts";
import { CONNECT_PATIENCE_MS, type Flags, patientConnect, withPlaces, withTarget } from "../../connections.ts";
import { otherWay } from "../../otherWay.ts";
import { SECOND_OF, SecondProcess } from "../../watchman.ts";

/** As commander hands them over. */
export type SwitchingFlags = Flags &
  Readonly<{ config?: string; fence?: string; onRelease?: string; onReturn?: string }>;

/** Adds the flags of a process that switches services when it is asked over HTTP. A request can give no command. */
export const withSwitching = (command: Command): Command =>
  command
    .option(
      "--fence <kind>",
      "what stops writers in a cutover by the API that names no fence: user-write-block, validator, hook:COMMAND, or none",
    )
    .option("--on-release <command>", "command that sends services over in a cutover by the API")
    .option("--on-return <command>", "command that sends services back in a rollback by the API");

const fenceText = ({ kind, command }: FenceChoice): string => (kind === "hook" ? `hook:${command}` : kind);

/** `ferry cutover` with the same choice, as its second process takes it; addresses are in its environment. */
const argsOf = (chosen: SwitchChosen, { config }: SwitchingFlags): readonly string[] => {
  const { named, how, maxPauseMs, maxLagMs, accepted, verifyRest, onRelease, isBack } = chosen;
  return [
    isBack ? "rollback" : "cutover",
    ...(named.length === 0 ? [] : ["--namespace", named.join(",")]),
    ...["--fence", fenceText(how), "--max-pause", `${maxPauseMs}ms`, "--max-lag", `${maxLagMs}ms`],
    ...(accepted.length === 0 ? [] : ["--accept", accepted.join(",")]),
    ...(verifyRest ? ["--verify-rest"] : []),
    ...(onRelease === undefined ? [] : ["--on-release", onRelease]),
    ...(config === undefined ? [] : ["--config", config]),
  ];
};

/** How the desk reaches servers, and what it was started with. @throws FERRY_CUTOVER_FENCE, FERRY_USAGE */
export const switchFlags = (flags: SwitchingFlags): SwitchFlags => ({
  fence: flags.fence === undefined ? undefined : parseFence(flags.fence),
  onRelease: flags.onRelease,
  onReturn: flags.onReturn,
  withPlaces: (isBack, work) => {
    const sides = isBack ? otherWay(flags) : flags;
    const on = isBack ? withPlaces : withTarget; // the way back has its own sentence for a state that is not there
    return on(sides, "ferry control", async (target, state) => {
      const { source } = resolveSettings(sides, ["source"]);
      const kafka = () => resolveSettings(sides, ["kafka"]);
      const connect = () =>
        patientConnect(connectAddress(resolveSettings(sides, ["connect"])), { giveUpAfterMs: CONNECT_PATIENCE_MS });
      await work({ target, state, addresses: { source, kafka, connect } });
    });
  },
  watchman: (chosen, id) =>
    new SecondProcess([...argsOf(chosen, flags), SECOND_OF, String(id)], settingVariables(resolveSettings(flags, []))),
});
