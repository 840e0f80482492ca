import { isLoopback, type ListenAddress, LOOPBACK, listenAddress } from "#base/config/listenAddress.ts";
import { FerryError } from "#base/errors/ferryError.ts";

/**
 * Where a process can be asked.
 * @param open may other machines reach it?
 * @throws FERRY_USAGE
 */
export const metricsAddress = (text: string, open: boolean): ListenAddress => {
  const address = listenAddress("--metrics", text);
  if (open || isLoopback(address)) return address;
  throw new FerryError(
    "FERRY_USAGE",
    `--metrics ${text} can be read from other machines: add --metrics-open if that is meant, or use ${LOOPBACK}:${address.port}`,
  );
};
