import { resolveSettings, resolveState } from "#base/config/settings.ts";
import { systemClock } from "#base/flow/clock.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { pauseCapture, resumeCapture } from "#process/steer/steerCapture.ts";
import { connectAddress } from "#source/connect/connectAddress.ts";
import { ConnectorCapture } from "#source/connector/connectorCapture.ts";
import { plainLogger } from "#surface/terminal/output.ts";
import { cliAuthor } from "./cliAuthor.ts";
import { CONNECT_PATIENCE_MS, type Flags, patientConnect } from "./connections.ts";

/**
 * Pauses or resumes a connector, after a note in the audit log. A connector can be steered where ferry's own database is not named:
 * then there is no log to note it in.
 * @throws FERRY_CONNECT_*, FERRY_MONGO_*, the signal's reason
 */
export const steerConnector = async (
  name: string,
  flags: Flags,
  { wanted, signal }: Readonly<{ wanted: "paused" | "running"; signal: AbortSignal }>,
): Promise<void> => {
  const address = connectAddress(resolveSettings(flags, ["connect"]));
  const rest = patientConnect(address, { giveUpAfterMs: CONNECT_PATIENCE_MS, signal });
  const connector = { rest, name, source: undefined, kafka: undefined, clock: systemClock, logger: plainLogger };
  const capture = new ConnectorCapture(connector);
  const { target, state: memory } = resolveSettings(flags, []);
  if (target === undefined && memory === undefined)
    return wanted === "paused" ? capture.pause(signal) : capture.resume();
  const place = resolveState(flags);
  await StateDb.within(
    place,
    { side: place.side, appName: `ferry ${wanted === "paused" ? "pause" : "resume"}` },
    async (state) => {
      const now = (await rest.status(name))?.connector.state ?? "unknown";
      const steered = { capture, now, state, by: cliAuthor() };
      await (wanted === "paused" ? pauseCapture(steered, signal) : resumeCapture(steered));
    },
  );
};
