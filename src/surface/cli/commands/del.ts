import type { Command } from "commander";
import { resolveSettings, resolveState } from "#base/config/settings.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { systemClock } from "#base/flow/clock.ts";
import { kafkaAddress } from "#io/kafka/address.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { connectAddress } from "#source/connect/connectAddress.ts";
import { isSourceConnector, parseConnector, topicsInScope } from "#source/connector/connectorConfig.ts";
import { ConnectorStore } from "#source/connector/connectorStore.ts";
import { awaitStopped } from "#source/connector/startWaits.ts";
import { print, printJson } from "#surface/terminal/output.ts";
import { CONNECT_PATIENCE_MS, type Flags, patientConnect, withConnections } from "../connections.ts";

type DelFlags = Flags & Readonly<{ forget?: boolean }>;

/** `ferry del NAME`: removes a connector; its position stays, unless it is to be forgotten. */
export const registerDel = (command: Command): void => {
  command
    .argument("<name>", "name of the connector")
    .option("--forget", "delete its position too: the next `ferry cx` copies again");
  withConnections(command, ["target", "kafka", "connect", "state"]).action((name: string, flags: DelFlags) =>
    flags.forget === true ? forget(name, flags) : remove(name, flags),
  );
};

const report = (name: string, flags: DelFlags, facts: object, sentence: string): void => {
  if (flags.json === true) printJson({ name, removed: true, ...facts });
  else print(sentence);
};

const remove = async (name: string, flags: DelFlags): Promise<void> => {
  const settings = resolveSettings(flags, ["connect"]);
  await patientConnect(connectAddress(settings), { giveUpAfterMs: CONNECT_PATIENCE_MS }).remove(name);
  report(name, flags, { forgotten: false }, `${name} is removed; its position is kept`);
};

/** Stops, deletes the offsets (Connect allows it in no other state), deletes the connector, then ferry's own record. */
const forget = async (name: string, flags: DelFlags): Promise<void> => {
  const settings = resolveSettings(flags, ["connect", "kafka"]);
  const rest = patientConnect(connectAddress(settings), { giveUpAfterMs: CONNECT_PATIENCE_MS });
  await StateDb.within(resolveState(flags), { appName: "ferry del" }, async (state) => {
    const store = new ConnectorStore(state);
    const config = await rest.config(name);
    const record = await store.find(name);
    if (config === undefined && record === undefined)
      throw new FerryError("FERRY_CONNECT_MISSING", `neither Connect nor ferry knows a connector ${name}`);
    if (config !== undefined) {
      await awaitStopped(name, { rest, clock: systemClock });
      await rest.deleteOffsets(name);
      await rest.remove(name);
    }
    await store.forget(name);
    await using kafka = new KafkaClient({ ...kafkaAddress(settings), clientId: "ferry-del", group: settings.group });
    const capture = config !== undefined && isSourceConnector(config) ? parseConnector(config) : undefined;
    const left = capture === undefined ? (record?.topics ?? []) : topicsInScope(capture, await kafka.topics());
    const advice =
      left.length === 0
        ? ""
        : `\n  its records are still in ${left.join(", ")}: delete the topic, and empty the target, before a new copy`;
    report(name, flags, { forgotten: true, topics: left }, `${name} is removed and its position forgotten${advice}`);
  });
};
