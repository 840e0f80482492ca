import { isIP } from "node:net";
import { FerryError } from "#base/errors/ferryError.ts";

/** Where a process can be asked. */
export type MetricsAddress = Readonly<{ host: string; port: number }>;

const LOCAL = "127.0.0.1";

const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));

/**
 * `PORT`, `HOST:PORT` or `[IPv6]:PORT`; without a host it is this machine's loopback. Port 0 takes a free one.
 * @param open may other machines reach it?
 * @throws FERRY_USAGE
 */
export const metricsAddress = (text: string, open: boolean): MetricsAddress => {
  const [, v6, name, digits = ""] = /^(?:(?:\[([^\]]+)\]|([^:]+)):)?(\d{1,5})$/.exec(text) ?? [];
  const [host, port] = [v6 ?? name ?? LOCAL, Number(digits)];
  if (digits === "" || port > 65_535)
    throw new FerryError("FERRY_USAGE", `--metrics must be PORT or HOST:PORT with a port up to 65535, not "${text}"`);
  if (!open && !isLoopback(host))
    throw new FerryError(
      "FERRY_USAGE",
      `--metrics ${text} can be read from other machines: add --metrics-open if that is meant, or use ${LOCAL}:${port}`,
    );
  return { host, port };
};
