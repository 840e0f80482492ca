import { type AddressInfo, isIP } from "node:net";
import { FerryError } from "#base/errors/ferryError.ts";

/** Where a process listens. Port 0 takes a free one. */
export type ListenAddress = Readonly<{ host: string; port: number }>;

/** Where no host is named. */
export const LOOPBACK = "127.0.0.1";

/** Is it reached from this machine alone? */
export const isLoopback = ({ host }: ListenAddress): boolean =>
  host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));

/** `PORT`, `HOST:PORT` or `[IPv6]:PORT`; without a host it is this machine's loopback. @throws FERRY_USAGE */
export const listenAddress = (flag: string, text: string): ListenAddress => {
  const [, v6, name, digits = ""] = /^(?:(?:\[([^\]]+)\]|([^:]+)):)?(\d{1,5})$/.exec(text) ?? [];
  const [host, port] = [v6 ?? name ?? LOOPBACK, Number(digits)];
  if (digits === "" || port > 65_535)
    throw new FerryError("FERRY_USAGE", `${flag} must be PORT or HOST:PORT with a port up to 65535, not "${text}"`);
  return { host, port };
};

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "another program listens there",
  EADDRNOTAVAIL: "this machine has no such address",
  EACCES: "this user may not use this port",
  ENOTFOUND: "no such host",
  EAI_AGAIN: "no such host",
};

/** Why an address cannot be listened on, in words. */
export const whyNotListening = (error: NodeJS.ErrnoException): string => REASONS[error.code ?? ""] ?? error.message;

/** What a server that listens is asked at. */
export const urlAt = (scheme: "http" | "https", { address, family, port }: AddressInfo): string =>
  `${scheme}://${family === "IPv6" ? `[${address}]` : address}:${port}`;
