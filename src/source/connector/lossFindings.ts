import { formatNamespace } from "#base/flow/types.ts";
import { timeText } from "#source/stream/resumeToken.ts";
import type { SeenEvent } from "#source/stream/sourceProbe.ts";
import { type ConnectorFinding, finding } from "./finding.ts";
import { isData, isDdl } from "./ownStream.ts";

export const eventText = ({ op, ns, at }: SeenEvent): string => `${op} on ${formatNamespace(ns)} at ${timeText(at)}`;

/** What it means that the connector has gone past these events, and they are not in the topic. @param compared so many events */
export const lossFindings = (connector: string, compared: number, gone: readonly SeenEvent[]): ConnectorFinding[] => {
  const [ddl] = gone.filter(isDdl);
  const data = gone.filter(isData);
  const findings: ConnectorFinding[] = [];
  if (ddl !== undefined) {
    const sentence = `${eventText(ddl)} is not in the topic, and the connector has gone past it`;
    findings.push(finding("FERRY_CAPTURE_REOPENED", connector, sentence, { dataAtStake: true }));
  }
  const [first, last] = [data[0], data.at(-1)];
  if (first !== undefined && last !== undefined) {
    const sentence = `${data.length} of ${compared} changes compared are not in the topic, from ${eventText(first)} to ${eventText(last)}`;
    findings.push(finding("FERRY_CAPTURE_GAP", connector, sentence, { dataAtStake: true }));
  }
  return findings;
};
