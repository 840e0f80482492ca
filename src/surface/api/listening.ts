import { createServer } from "node:net";
import { type ListenAddress, whyNotListening } from "#base/config/listenAddress.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { nodeHttp, nodeHttps } from "#base/flow/nodeHttp.ts";
import type { TlsFiles } from "./apiServer.ts";

/** How long another process may take to say what it is, ms. */
const ANSWER_MS = 1000;

/** @throws FERRY_CONTROL_ADDRESS */
export const requireFree = ({ host, port }: ListenAddress): Promise<void> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      const reason = whyNotListening(error);
      reject(new FerryError("FERRY_CONTROL_ADDRESS", `${host}:${port}: ${reason}`, { cause: error }));
    });
    server.listen({ host, port }, () => server.close(() => resolve()));
  });

/** Does a control process of ferry's listen there? What its certificate is worth does not matter. */
export const isControlAt = ({
  address: { host, port },
  tls,
}: Readonly<{ address: ListenAddress; tls: TlsFiles | undefined }>): Promise<boolean> => {
  if (port === 0) return Promise.resolve(false);
  return new Promise((resolve) => {
    const options = { host, port, path: "/healthz", timeout: ANSWER_MS, rejectUnauthorized: false };
    const asked = (tls === undefined ? nodeHttp() : nodeHttps()).get(options, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200 && answer.headers["x-ferry"] === "control");
    });
    asked.once("error", () => resolve(false));
    asked.once("timeout", () => asked.destroy());
  });
};
