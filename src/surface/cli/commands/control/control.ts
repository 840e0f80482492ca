import type { Command } from "commander";
import { resolveSettings } from "#base/config/settings.ts";
import { withSignals } from "#surface/terminal/signals.ts";
import { withAddresses, withLog, withStateFlags } from "../../connections.ts";
import { type ListenFlags, listenPlace, withListen } from "../../listenFlags.ts";
import { loggerOf } from "../../logging.ts";
import { serveControl } from "./serveControl.ts";
import { type SwitchingFlags, withSwitching } from "./switchFlags.ts";

/** `ferry control`: state and steering of a migration by HTTP. Of several, one is in control, and the others stand by. */
export const registerControl = (command: Command): void => {
  withAddresses(command, {
    source: "source MongoDB, for what a cutover needs",
    target: "target MongoDB",
    kafka: "Kafka bootstrap servers, where Kafka is part of it",
    connect: "Kafka Connect, where connectors capture",
  });
  withSwitching(withListen(withStateFlags(withLog(command))))
    .option("--config <file>", "routes and their rules (default: ferry.yaml here, if it exists)")
    .action(control);
};

const control = async (flags: SwitchingFlags & ListenFlags): Promise<void> => {
  const place = listenPlace("--listen", flags); // said before anything is connected
  const logger = loggerOf(resolveSettings(flags, []));
  await withSignals(({ soft }) => serveControl(flags, place, { signal: soft, logger }));
};
