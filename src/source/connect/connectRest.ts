import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { shownUri } from "#base/errors/secrets.ts";
import { tlsFaultOf, tlsText } from "#base/errors/tlsFault.ts";
import type { Clock } from "#base/flow/clock.ts";
import { retry } from "#base/flow/retry.ts";
import { type ConnectAddress, type ConnectUrl, connectUrl } from "./connectAddress.ts";
import { httpCall } from "./connectHttp.ts";

/** A connector's configuration as Connect holds it: every value is text. */
export type ConnectorConfig = Readonly<Record<string, string>>;
export type ConnectorState = "RUNNING" | "PAUSED" | "STOPPED" | "FAILED" | "UNASSIGNED" | "RESTARTING";
export type TaskStatus = Readonly<{ id: number; state: ConnectorState; worker_id: string; trace?: string }>;
export type ConnectorStatus = Readonly<{
  name: string;
  type: "source" | "sink" | "unknown";
  connector: Readonly<{ state: ConnectorState; worker_id: string; trace?: string }>;
  tasks: readonly TaskStatus[];
}>;
/** The connector itself, or the first of its tasks, that has failed. */
export const failedPart = ({ connector, tasks }: Pick<ConnectorStatus, "connector" | "tasks">) =>
  [connector, ...tasks].find(({ state }) => state === "FAILED");

export type ConnectorOffset = Readonly<{
  partition: Readonly<Record<string, unknown>>;
  offset: Readonly<Record<string, unknown>> | null;
}>;
export type ConnectorInfo = Readonly<{ name: string; config: ConnectorConfig }>;
export type ConnectorView = ConnectorInfo & Readonly<{ status: ConnectorStatus }>;
export type Plugin = Readonly<{ class: string; type: string; version?: string }>;
/** One configuration key, and what Connect or the connector objects to in its value. */
export type ConfigComplaint = Readonly<{ name: string; errors: readonly string[] }>;

export type ConnectRestOptions = ConnectAddress &
  Readonly<{
    clock: Clock;
    signal?: AbortSignal | undefined;
    /** How long an unreachable or rebalancing Connect is waited for, ms. */
    giveUpAfterMs?: number;
    onRetry?: (error: FerryError, attempt: number, pauseMs: number) => void;
  }>;

/** Connect itself gives a request up after 90 s (a validation waits for the source's server selection). */
const REQUEST_TIMEOUT_MS = 95_000;

type Answer = Readonly<{ status: number; body: unknown }>;

const textOf = (body: unknown): string => {
  if (typeof body === "object" && body !== null && "message" in body) return String(body.message);
  return typeof body === "string" && body !== "" ? body : JSON.stringify(body);
};

/**
 * Kafka Connect's REST API. Requests that meet a rebalance or a Connect that is just restarting are repeated.
 * Source: Apache Kafka documentation, "Kafka Connect REST API"; initial_state is KIP-980, offsets are KIP-875.
 * Every method throws FERRY_CONNECT_UNREACHABLE, FERRY_CONNECT_TLS, FERRY_CONNECT_AUTH, FERRY_CONNECT_BUSY, FERRY_CONNECT_MISSING
 * or FERRY_CONNECT_REFUSED.
 */
export class ConnectRest {
  /** Without user and password. */
  readonly url: string;
  readonly #credentials: ConnectUrl["headers"];
  readonly #options: ConnectRestOptions;

  /** @throws FERRY_URI */
  constructor(options: ConnectRestOptions) {
    ({ url: this.url, headers: this.#credentials } = connectUrl(options.url));
    this.#options = options;
  }

  /** Connect's own version, e.g. `4.3.1`. */
  async version(): Promise<string> {
    return ((await this.#call("GET", "/")) as { version: string }).version;
  }

  async plugins(): Promise<readonly Plugin[]> {
    return (await this.#call("GET", "/connector-plugins?connectorsOnly=false")) as Plugin[];
  }

  async names(): Promise<string[]> {
    return ((await this.#call("GET", "/connectors")) as string[]).sort();
  }

  /** All connectors with configuration and status, sorted by name. */
  async all(): Promise<ConnectorView[]> {
    const found = (await this.#call("GET", "/connectors?expand=info&expand=status")) as Record<
      string,
      { info?: ConnectorInfo; status?: ConnectorStatus }
    >;
    return Object.entries(found)
      .flatMap(([name, { info, status }]) =>
        info === undefined || status === undefined ? [] : [{ name, config: info.config, status }],
      )
      .sort((a, b) => a.name.localeCompare(b.name));
  }

  /** undefined where there is no such connector. */
  config(name: string): Promise<ConnectorConfig | undefined> {
    return this.#find<ConnectorConfig>(`${this.#path(name)}/config`);
  }

  /** undefined where there is no such connector, or where Connect has not yet heard of its state. */
  status(name: string): Promise<ConnectorStatus | undefined> {
    return this.#find<ConnectorStatus>(`${this.#path(name)}/status`);
  }

  /** Stored source offsets, one for each partition that was ever used under this name. */
  async offsets(name: string): Promise<readonly ConnectorOffset[]> {
    return ((await this.#call("GET", `${this.#path(name)}/offsets`)) as { offsets: ConnectorOffset[] }).offsets;
  }

  /** Topics that the connector wrote to since it was created. */
  async topics(name: string): Promise<readonly string[]> {
    const found = (await this.#call("GET", `${this.#path(name)}/topics`)) as Record<string, { topics: string[] }>;
    return found[name]?.topics ?? [];
  }

  /**
   * Creates a connector, STOPPED or RUNNING. Needs Connect 3.7 for `STOPPED`.
   * @throws FERRY_CONNECT_EXISTS when the name is taken.
   */
  async create(name: string, config: ConnectorConfig, state: "STOPPED" | "RUNNING"): Promise<void> {
    await withHosts(config, () =>
      this.#repeat(`creating ${name}`, async () => {
        const body = { name, config, initial_state: state };
        const answer = await this.#send("POST", "/connectors", body);
        // A taken name and a rebalance are both 409: only looking tells them apart.
        if (answer.status === 409 && (await this.#send("GET", this.#path(name))).status === 200)
          throw new FerryError("FERRY_CONNECT_EXISTS", `connector ${name} exists already`);
        return this.#check(answer, `POST /connectors (${name})`);
      }),
    );
  }

  /** Creates or replaces the configuration; running tasks restart with it. */
  async putConfig(name: string, config: ConnectorConfig): Promise<void> {
    await withHosts(config, () => this.#call("PUT", `${this.#path(name)}/config`, config));
  }

  /** Asks for the STOPPED state (tasks gone, configuration and offsets kept). Resolves when accepted, not when reached. */
  async stop(name: string): Promise<void> {
    await this.#call("PUT", `${this.#path(name)}/stop`);
  }

  /** Asks for the PAUSED state (tasks stay, and read nothing). Resolves when accepted, not when reached. */
  async pause(name: string): Promise<void> {
    await this.#call("PUT", `${this.#path(name)}/pause`);
  }

  /** Asks for the RUNNING state. Resolves when accepted, not when reached. */
  async resume(name: string): Promise<void> {
    await this.#call("PUT", `${this.#path(name)}/resume`);
  }

  /** Restarts the connector and its failed tasks. */
  async restartFailed(name: string): Promise<void> {
    await this.#call("POST", `${this.#path(name)}/restart?includeTasks=true&onlyFailed=true`);
  }

  /** Sets stored offsets. The connector must be STOPPED with no task left. */
  async patchOffsets(name: string, offsets: readonly ConnectorOffset[]): Promise<void> {
    await this.#call("PATCH", `${this.#path(name)}/offsets`, { offsets });
  }

  /** Forgets all stored offsets of this name. The connector must be STOPPED. */
  async deleteOffsets(name: string): Promise<void> {
    await this.#call("DELETE", `${this.#path(name)}/offsets`);
  }

  /** Removes the connector; its offsets stay. */
  async remove(name: string): Promise<void> {
    await this.#call("DELETE", this.#path(name));
  }

  /** Every key that Connect and the plug-ins of this configuration know, with what they object to in its value. */
  async validate(config: ConnectorConfig): Promise<readonly ConfigComplaint[]> {
    const plugin = config["connector.class"]?.split(".").at(-1) ?? "";
    const found = (await this.#call(
      "PUT",
      `/connector-plugins/${encodeURIComponent(plugin)}/config/validate`,
      config,
    )) as { configs: { value: { name: string; errors: string[] } }[] };
    return found.configs.map(({ value }) => ({ name: value.name, errors: value.errors }));
  }

  #path(name: string): string {
    return `/connectors/${encodeURIComponent(name)}`;
  }

  async #find<T>(path: string): Promise<T | undefined> {
    return this.#repeat(`GET ${path}`, async () => {
      const answer = await this.#send("GET", path);
      return isMissing(answer) ? undefined : (this.#check(answer, `GET ${path}`) as T);
    });
  }

  #call(method: string, path: string, body?: unknown): Promise<unknown> {
    const what = `${method} ${path}`;
    return this.#repeat(what, async () => this.#check(await this.#send(method, path, body), what));
  }

  #repeat<T>(what: string, attempt: () => Promise<T>): Promise<T> {
    const { clock, signal, giveUpAfterMs = 60_000, onRetry } = this.#options;
    return retry(attempt, {
      what,
      clock,
      signal,
      giveUpAfterMs,
      pauseMs: 100,
      maxPauseMs: 1000,
      ...(onRetry === undefined ? {} : { onRetry }),
    });
  }

  async #send(method: string, path: string, body?: unknown): Promise<Answer> {
    const timeout = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    const { signal } = this.#options;
    try {
      const { status, text } = await httpCall({
        method,
        url: this.url + path,
        headers: { "content-type": "application/json", accept: "application/json", ...this.#credentials },
        body: body === undefined ? undefined : JSON.stringify(body),
        ca: this.#options.ca,
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      });
      return { status, body: parseBody(text) };
    } catch (error) {
      signal?.throwIfAborted();
      throw unanswered(error, `${method} ${this.url}${path}`);
    }
  }

  #check({ status, body }: Answer, what: string): unknown {
    if (status < 300 && typeof body !== "string") return body;
    if (status < 300)
      throw new FerryError("FERRY_CONNECT_OTHER", `${this.url} answers ${what} with a text that is not JSON`);
    const detail = `${what}: ${textOf(body)} (${status})`;
    if (isMissing({ status, body })) throw new FerryError("FERRY_CONNECT_MISSING", detail);
    // A bare 404 comes from a Connect that has opened its port and not yet its resources (seen after a crash). 409 is a rebalance; 500 covers a request that timed out inside Connect while its herder was busy or restarting.
    if (status === 404 || status === 409 || status >= 500) throw new FerryError("FERRY_CONNECT_BUSY", detail);
    if (status === 401 || status === 403)
      throw new FerryError("FERRY_CONNECT_AUTH", `${what}: ${this.url} answers with HTTP status ${status}`);
    throw new FerryError("FERRY_CONNECT_REFUSED", detail);
  }
}

/** The settings that TLS depends on. */
const SETTINGS = { trust: "--connect-ca", own: "ferry has none for Connect", tls: "https:// in --connect" };

/** Why there is no answer: TLS that does not fit, which no waiting changes, or a server that is away. */
const unanswered = (error: unknown, what: string): FerryError => {
  const fault = tlsFaultOf(error);
  if (fault !== undefined)
    return new FerryError("FERRY_CONNECT_TLS", `${what}: ${tlsText(fault, SETTINGS)}`, { cause: error });
  const reason = error instanceof Error ? error.message || String((error as { code?: unknown }).code) : String(error);
  const hangsUp = /socket hang up|Parse Error|ECONNRESET/.test(reason)
    ? " (it may speak HTTPS: https:// in --connect)"
    : "";
  return new FerryError("FERRY_CONNECT_UNREACHABLE", `${what}: ${reason}${hangsUp}`, { cause: error });
};

/** Connect's own "no such connector", which names it. */
const isMissing = ({ status, body }: Answer): boolean =>
  status === 404 && !/^(HTTP 404 )?Not Found$/.test(textOf(body));

/** The connector objects to a server that it cannot reach without naming it. */
const withHosts = async (config: ConnectorConfig, work: () => Promise<unknown>): Promise<void> => {
  try {
    await work();
  } catch (error) {
    const uri = config["connection.uri"];
    if (uri === undefined || !isFerry(error, "FERRY_CONNECT_REFUSED")) throw error;
    throw new FerryError(error.code, `${error.detail.trimEnd()}; connection.uri is ${shownUri(uri)}`, { cause: error });
  }
};

const parseBody = (text: string): unknown => {
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text; // Jetty's own error pages are HTML
  }
};
