import type { ListenAddress } from "#base/config/listenAddress.ts";
import type { Logger } from "#base/observe/log.ts";
import type { LabelsOf } from "#base/observe/metricCatalogue.ts";
import { NO_VITALS, type Vitals } from "#base/observe/vitals.ts";

/**
 * Works, and lets itself be asked meanwhile where an address is given. What serves it is loaded only then: other commands start
 * without it. @throws FERRY_METRICS_ADDRESS before `work` is begun, and what `work` throws
 */
export const observed = async (
  address: ListenAddress | undefined,
  about: LabelsOf<"ferry_build_info">,
  logger: Logger,
  work: (vitals: Vitals) => Promise<void>,
): Promise<void> => {
  if (address === undefined) return work(NO_VITALS);
  const { openEndpoint } = await import("./endpoint.ts");
  await using endpoint = await openEndpoint(address, about);
  logger.info({ stage: "metrics" }, `metrics at ${endpoint.url}/metrics`);
  await work(endpoint.vitals);
};
