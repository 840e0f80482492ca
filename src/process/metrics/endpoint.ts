import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type ListenAddress, urlAt, whyNotListening } from "#base/config/listenAddress.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { LabelsOf } from "#base/observe/metricCatalogue.ts";
import { PromVitals } from "./promVitals.ts";

/** What listens, and what it answers with. Disposing of it ends answers on their way: a scrape never holds the process up. */
export type Endpoint = AsyncDisposable & Readonly<{ vitals: PromVitals; url: string }>;

type PageAnswer = Readonly<{ status: number; type: string; body: string }>;

const plain = (status: number, body: string): PageAnswer => ({
  status,
  type: "text/plain; charset=utf-8",
  body: `${body}\n`,
});

/** A scrape is short; a client that is not does not stay, ms. */
const TIMEOUT_MS = 10_000;
const MOST_CLIENTS = 32;

const answersOf = (vitals: PromVitals): Readonly<Record<string, () => PageAnswer | Promise<PageAnswer>>> => ({
  "/metrics": async () => ({ status: 200, type: vitals.contentType, body: await vitals.text() }),
  "/healthz": () => plain(200, "alive"),
  "/readyz": () => {
    const { isReady, obstacles } = vitals.readiness();
    return isReady ? plain(200, "ready") : plain(503, obstacles.join("\n"));
  },
});

const serverOf = (vitals: PromVitals): Server => {
  const answers = answersOf(vitals);
  const answer = async (method: string, path: string): Promise<PageAnswer> => {
    const known = answers[path];
    if (known === undefined) return plain(404, `there are ${Object.keys(answers).join(", ")}`);
    if (method !== "GET" && method !== "HEAD") return plain(405, "GET it");
    try {
      return await known();
    } catch (error) {
      return plain(500, error instanceof Error ? error.message : String(error));
    }
  };
  const timeouts = { requestTimeout: TIMEOUT_MS, headersTimeout: TIMEOUT_MS };
  const server = createServer({ ...timeouts, connectionsCheckingInterval: TIMEOUT_MS }, (request, response) => {
    const [path = "/"] = (request.url ?? "/").split("?");
    void answer(request.method ?? "GET", path).then(({ status, type, body }) => {
      response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) });
      response.end(request.method === "HEAD" ? undefined : body);
    });
  });
  server.maxConnections = MOST_CLIENTS;
  return server;
};

/** @throws FERRY_METRICS_ADDRESS */
const listen = (server: Server, { host, port }: ListenAddress): Promise<void> =>
  new Promise((resolve, reject) => {
    server.on("error", (error: NodeJS.ErrnoException) => {
      const reason = whyNotListening(error);
      reject(new FerryError("FERRY_METRICS_ADDRESS", `--metrics ${host}:${port}: ${reason}`, { cause: error }));
    });
    server.listen({ host, port }, resolve);
  });

/** Serves `/metrics`, `/healthz` and `/readyz`. @throws FERRY_METRICS_ADDRESS */
export const openEndpoint = async (address: ListenAddress, about: LabelsOf<"ferry_build_info">): Promise<Endpoint> => {
  const vitals = new PromVitals(about);
  const server = serverOf(vitals);
  await listen(server, address);
  return {
    vitals,
    url: urlAt("http", server.address() as AddressInfo),
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
};
