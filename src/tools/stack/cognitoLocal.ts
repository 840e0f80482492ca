import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { LOOPBACK } from "#base/config/listenAddress.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { freePort } from "./ports.ts";
import { Server } from "./server.ts";

/** The pool's address, and how it is ended. */
export type CognitoLocal = AsyncDisposable & Readonly<{ endpoint: string; port: number }>;

/** Credentials that cognito-local does not look at, and that keep the AWS SDK from looking for others. */
export const ANY_CREDENTIALS = {
  AWS_ACCESS_KEY_ID: "local",
  AWS_SECRET_ACCESS_KEY: "local",
  AWS_EC2_METADATA_DISABLED: "true",
} as const;

const READY_MS = 60_000;
const STOP_MS = 5000;

/** @throws FERRY_USAGE in an installation without development packages */
const startScript = (): string => {
  try {
    return join(createRequire(import.meta.url).resolve("cognito-local"), "..", "bin", "start.js");
  } catch {
    throw new FerryError(
      "FERRY_USAGE",
      "cognito-local is not installed: it comes with a clone of ferry, not with its package",
    );
  }
};

/**
 * cognito-local, which answers as Amazon Cognito over HTTP. Its pools are files in `dir`, and sign in by username.
 * @throws FERRY_USAGE, FERRY_STACK_*
 */
export const startCognitoLocal = async (
  dir: string,
  env: Readonly<Record<string, string>> = {},
): Promise<CognitoLocal> => {
  const script = startScript();
  mkdirSync(join(dir, ".cognito"), { recursive: true });
  writeFileSync(join(dir, ".cognito", "config.json"), JSON.stringify({ UserPoolDefaults: { UsernameAttributes: [] } }));
  const port = await freePort();
  const endpoint = `http://${LOOPBACK}:${port}`;
  const server = new Server({
    name: "cognito-local",
    command: process.execPath,
    args: [script],
    env: { ...env, ...ANY_CREDENTIALS, PORT: String(port), HOST: LOOPBACK },
    cwd: dir,
    logFile: join(dir, "cognito.log"),
    ports: [port],
    ready: async () =>
      (await fetch(`${endpoint}/health`).catch(() => undefined))?.ok === true ? true : "no answer yet",
    readyTimeoutMs: READY_MS,
    stopTimeoutMs: STOP_MS,
  });
  await server.start();
  return { endpoint, port, [Symbol.asyncDispose]: () => server.stop() };
};
