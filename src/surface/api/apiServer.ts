import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from "fastify";
import { type ListenAddress, urlAt, whyNotListening } from "#base/config/listenAddress.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { covers, type TokenFacts, TokenStore } from "#process/control/tokenStore.ts";
import { CONSOLE_POLICY, consoleFile } from "#surface/console/consoleFiles.ts";
import type { Operation } from "./contract/operation.ts";
import { OPERATIONS, type OperationName } from "./contract/operations.ts";
import { serverSentEvents } from "./events.ts";
import { HANDLERS } from "./handlers/allHandlers.ts";
import type { Asking, ControlParts } from "./handlers/handler.ts";
import { overviewAnswer } from "./handlers/overviewAnswer.ts";
import { API, openApi } from "./openApi.ts";
import { plainJson } from "./plainJson.ts";
import { problemOf } from "./problem.ts";
import { TokenHolders } from "./tokenHolders.ts";

/** Key and certificate, PEM. */
export type TlsFiles = Readonly<{ cert: string; key: string }>;

export type ApiChoice = Readonly<{
  address: ListenAddress;
  /** Undefined: plain HTTP. */
  tls: TlsFiles | undefined;
  /** Ends answers that wait. */
  signal: AbortSignal;
}>;

/** What listens. Disposing of it ends answers on their way. */
export type ApiServer = AsyncDisposable & Readonly<{ url: string }>;

const MOST_CLIENTS = 512;
const MOST_STREAMS = 64;
const MOST_BYTES = 1024 * 1024;
/** A request is short; a client that is not does not stay, ms. */
const REQUEST_MS = 10_000;

/** Nothing of an answer is to be kept, shown in a frame, or taken for something else. */
const HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};
const OVER_TLS = { "strict-transport-security": "max-age=31536000" };

const serverFor =
  (tls: TlsFiles | undefined) =>
  (handler: RequestListener): Server => {
    const timeouts = { requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS };
    const server =
      tls === undefined ? createServer(timeouts, handler) : createTlsServer({ ...timeouts, ...tls }, handler);
    server.maxConnections = MOST_CLIENTS;
    return server as Server;
  };

type AnyHandler = (asked: object, asking: Asking, parts: ControlParts) => Promise<unknown>;

/** The API of one control process: Fastify's routes follow from the contract. */
class Api {
  readonly #app: FastifyInstance;
  readonly #parts: ControlParts;
  readonly #choice: ApiChoice;
  readonly #holders: TokenHolders;
  /** Whose request it is; not there where any client may ask. */
  readonly #asks = new WeakMap<FastifyRequest, TokenFacts>();
  #streams = 0;

  constructor(parts: ControlParts, choice: ApiChoice) {
    this.#parts = parts;
    this.#choice = choice;
    this.#holders = new TokenHolders(new TokenStore(parts.servers.state), parts.servers.clock);
    this.#app = fastify({
      serverFactory: serverFor(choice.tls),
      bodyLimit: MOST_BYTES,
      exposeHeadRoutes: false,
      forceCloseConnections: true,
      frameworkErrors: (error, _, reply) => void this.#refuse(reply.headers(HEADERS), error), // a path that is none
      ajv: { customOptions: { removeAdditional: false } }, // what is not known is refused, not ignored
    });
    this.#app.removeContentTypeParser("text/plain");
    this.#prepare();
    for (const [name, operation] of Object.entries(OPERATIONS)) this.#add(name as OperationName, operation);
  }

  /** @throws FERRY_CONTROL_ADDRESS */
  async listen(): Promise<ApiServer> {
    const { address, tls } = this.#choice;
    try {
      await this.#app.listen(address);
    } catch (error) {
      const reason = whyNotListening(error as NodeJS.ErrnoException);
      throw new FerryError("FERRY_CONTROL_ADDRESS", `${address.host}:${address.port}: ${reason}`, { cause: error });
    }
    return {
      url: urlAt(tls === undefined ? "http" : "https", this.#app.server.address() as AddressInfo),
      [Symbol.asyncDispose]: () => this.#app.close(),
    };
  }

  #prepare(): void {
    const headers = this.#choice.tls === undefined ? HEADERS : { ...HEADERS, ...OVER_TLS };
    this.#app.addHook("onRequest", async (_, reply) => void reply.headers(headers));
    this.#app.setErrorHandler((error, _, reply) => this.#refuse(reply, error));
    this.#app.setNotFoundHandler((request, reply) => {
      const what = `${request.method} ${request.url.split("?")[0]}`;
      return this.#refuse(
        reply,
        new FerryError("FERRY_API_UNKNOWN", `there is no ${what}; ${API}/openapi.json lists all`),
      );
    });
    this.#app.get("/healthz", (_, reply) => reply.header("x-ferry", "control").send("alive\n"));
    for (const path of ["/", "/console/:name"])
      this.#app.get<{ Params: { name?: string } }>(path, (request, reply) => this.#sendPage(request, reply));
  }

  /** The page holds nothing of the migration: what it shows it asks the API for, with a token. @throws FERRY_CONSOLE_BUILD, FERRY_API_UNKNOWN */
  async #sendPage(request: FastifyRequest<{ Params: { name?: string } }>, reply: FastifyReply): Promise<FastifyReply> {
    const file = await consoleFile(request.params.name ?? "");
    if (file === undefined) throw new FerryError("FERRY_API_UNKNOWN", "the page has no such file: load it again");
    const { type, cache, body, gzip } = file;
    const isSmall = /\bgzip\b/.test(request.headers["accept-encoding"] ?? "");
    const headers = { "content-security-policy": CONSOLE_POLICY, "cache-control": cache, vary: "accept-encoding" };
    return reply
      .headers({ ...headers, ...(isSmall ? { "content-encoding": "gzip" } : {}) })
      .type(type)
      .send(isSmall ? gzip : body);
  }

  #refuse(reply: FastifyReply, error: unknown): FastifyReply {
    const { status, headers, body } = problemOf(error);
    if (status >= 500) this.#parts.servers.logger.error({ stage: "control", err: error }, "a request failed");
    return reply.status(status).headers(headers).send(body);
  }

  #add(name: OperationName, operation: Operation): void {
    const { method, path, params, query, body, answer, isStream, status = 200 } = operation;
    this.#app.route({
      method,
      url: API + path.replaceAll(/\{(\w+)\}/g, ":$1"),
      schema: {
        ...(params === undefined ? {} : { params }),
        ...(query === undefined ? {} : { querystring: query }),
        ...(body === undefined ? {} : { body }),
        ...(isStream === true ? {} : { response: { [status]: answer } }),
      },
      onRequest: (request) => this.#admit(request, operation),
      handler: (request, reply) => this.#answer(name, request, reply),
    });
  }

  /** @throws FERRY_API_TOKEN, FERRY_API_ROLE, FERRY_API_LIMIT, FERRY_MONGO_* */
  async #admit(request: FastifyRequest, { access }: Operation): Promise<void> {
    if (access === "anyone") return;
    const holder = await this.#holderOf(request);
    if (!covers(holder.role, access))
      throw new FerryError("FERRY_API_ROLE", `token ${holder.id} has role ${holder.role}, and this needs ${access}`);
    this.#asks.set(request, holder);
  }

  #holderOf({ headers, ip }: FastifyRequest): Promise<TokenFacts> {
    return this.#holders.holderOf(headers.authorization, ip);
  }

  async #answer(name: OperationName, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    if (name === "getOpenApi") return openApi();
    const token = this.#asks.get(request);
    if (token === undefined) throw new FerryError("FERRY_BUG", `${name} was asked without a token`);
    if (name === "watchOverview") return this.#stream(request, reply);
    const { params, query, body } = request;
    const handler = HANDLERS[name] as AnyHandler;
    const found = await handler({ params, query, body }, { token, signal: this.#choice.signal }, this.#parts);
    const { holdsDocuments = false, status = 200 } = OPERATIONS[name] as Operation;
    reply.code(status);
    return plainJson(found, holdsDocuments);
  }

  /** Until the client goes, its token is no longer valid, or the process ends. @throws FERRY_API_STREAMS */
  #stream(request: FastifyRequest, reply: FastifyReply): FastifyReply {
    if (this.#streams >= MOST_STREAMS)
      throw new FerryError("FERRY_API_STREAMS", `${MOST_STREAMS} clients are watching`);
    const { overview, servers, desk } = this.#parts;
    const look = async () => {
      const { role } = await this.#holderOf(request);
      return plainJson(overviewAnswer(role, await overview.current(), desk.last), false) as { at: string };
    };
    const { signal } = this.#choice;
    const stream = Readable.from(serverSentEvents({ name: "overview", look, clock: servers.clock, signal }));
    this.#streams++;
    stream.once("close", () => this.#streams--);
    return reply.type("text/event-stream").send(stream);
  }
}

/** Serves the API. @throws FERRY_CONTROL_ADDRESS */
export const openApiServer = (parts: ControlParts, choice: ApiChoice): Promise<ApiServer> =>
  new Api(parts, choice).listen();
