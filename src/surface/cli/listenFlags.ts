import { createSecureContext } from "node:tls";
import type { Command } from "commander";
import { isLoopback, type ListenAddress, listenAddress } from "#base/config/listenAddress.ts";
import { readTextFile } from "#base/config/textFile.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { TlsFiles } from "#surface/api/apiServer.ts";

/** As commander hands them over. */
export type TlsFlags = Readonly<{ listenOpen?: boolean; tlsCert?: string; tlsKey?: string }>;
export type ListenFlags = TlsFlags & Readonly<{ listen: string }>;

/** Adds the flags of a command that serves people over HTTP. */
export const withListen = (command: Command): Command =>
  withTls(command.option("--listen <address>", "where to listen: PORT or HOST:PORT", "127.0.0.1:8900"));

/** Adds those of them that say how safe an address is. */
export const withTls = (command: Command): Command =>
  command
    .option("--tls-cert <file>", "PEM file with the certificate, and the chain to its authority")
    .option("--tls-key <file>", "PEM file with the certificate's key")
    .option("--listen-open", "accept an address without TLS that other machines reach");

const refuse = (flag: string, path: string) => (reason: string) =>
  new FerryError("FERRY_USAGE", `${flag} ${path}: ${reason}`);

/** @throws FERRY_USAGE */
const tlsOf = ({ tlsCert, tlsKey }: TlsFlags): TlsFiles | undefined => {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined)
    throw new FerryError("FERRY_USAGE", "--tls-cert and --tls-key belong together; give both");
  const cert = readTextFile(tlsCert, refuse("--tls-cert", tlsCert));
  const key = readTextFile(tlsKey, refuse("--tls-key", tlsKey));
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FerryError("FERRY_USAGE", `--tls-cert ${tlsCert} and --tls-key ${tlsKey} cannot be used: ${reason}`);
  }
  return { cert, key };
};

export type ListenPlace = Readonly<{ address: ListenAddress; tls: TlsFiles | undefined }>;

/** Tokens are not to be sent over a network in plain text, unless the operator says so. @throws FERRY_USAGE */
export const listenPlace = (flag: "--listen" | "--control", flags: ListenFlags): ListenPlace => {
  const address = listenAddress(flag, flags.listen);
  const tls = tlsOf(flags);
  if (tls === undefined && !isLoopback(address) && flags.listenOpen !== true)
    throw new FerryError(
      "FERRY_USAGE",
      `${flag} ${flags.listen} is reached from other machines, and tokens would be sent there in plain text: give --tls-cert and --tls-key, or --listen-open if a proxy does that`,
    );
  return { address, tls };
};
