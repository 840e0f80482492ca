import { X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import type { MongoOptions } from "mongodb";
import { readTextFile } from "#base/config/textFile.ts";
import { FerryError } from "#base/errors/ferryError.ts";

type Check = (pem: string, options: MongoOptions) => void;

/** Options of a URI that name a file, and how it is found to be one. */
const FILES = {
  tlsCAFile: (pem) => void new X509Certificate(pem),
  tlsCertificateKeyFile: (pem, { passphrase }) =>
    void createSecureContext({ cert: pem, key: pem, ...(passphrase === undefined ? {} : { passphrase }) }),
  tlsCRLFile: (crl) => void createSecureContext({ crl }),
} as const satisfies Readonly<Record<string, Check>>;

/**
 * The driver reads them with its first connection, and then tells neither the option nor, where the file is not what it
 * should be, that a file is to blame. @throws FERRY_TLS_FILE
 */
export const requireTlsFiles = (options: MongoOptions): void => {
  for (const [name, check] of Object.entries(FILES) as [keyof typeof FILES, Check][]) {
    const path = options[name];
    if (path === undefined) continue;
    const refuse = (reason: string): FerryError => new FerryError("FERRY_TLS_FILE", `${name} ${path}: ${reason}`);
    const pem = readTextFile(path, refuse);
    try {
      check(pem, options);
    } catch (error) {
      throw refuse(`it cannot be used: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
};
