import { type MongoClient, MongoServerSelectionError, type ServerHeartbeatFailedEvent } from "mongodb";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { unlessAborted } from "#base/flow/abort.ts";
import type { Clock } from "#base/flow/clock.ts";
import { retryForever } from "#base/flow/retry.ts";
import { Awaited } from "#base/observe/awaited.ts";
import type { Logger } from "#base/observe/log.ts";
import { connecting, greet, openMongo, type ServerSide } from "./connect.ts";
import { mongoError } from "./errors.ts";
import { unreachedText } from "./unreached.ts";
import { ferryUri } from "./uriOptions.ts";

export type ReachDeps = Readonly<{
  /** As in a sentence: `the source`. */
  side: ServerSide;
  appName: string;
  /** See ConnectOptions. */
  pastValidators?: boolean;
  clock: Clock;
  logger: Logger;
  /** Ends the waiting. */
  signal: AbortSignal;
}>;

const codeOf = (error: Error): string => String((error as { code?: unknown }).code ?? "");
const MISTAKES = /^(ENOTFOUND$|EPROTO$|ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/;
const AWAY = /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|EAI_AGAIN)$/;

/** What a name that no DNS knows, and TLS that does not fit, end with: errors that are not transient. */
const isMistake = (error: unknown): boolean => {
  if (!(error instanceof Error)) return false;
  return MISTAKES.test(codeOf(error)) || isMistake(error.cause);
};

/** No process listens there yet, or there is no route to it yet. */
const isAway = (error: unknown): boolean => error instanceof Error && (AWAY.test(codeOf(error)) || isAway(error.cause));

/** One attempt at a first connection, which ends as soon as no host of the URI can ever answer. */
class FirstConnection {
  readonly #client: MongoClient;
  readonly #awaited: Awaited;
  /** The error of each host's last try. */
  readonly #failures = new Map<string, Error>();
  #reject: (error: Error) => void = () => undefined;
  /** The hosts belong to another set than the URI names, and the driver has left all of them out; or there are none (SRV). */
  #isMistaken = false;

  readonly #side: ServerSide;

  constructor(client: MongoClient, side: ServerSide, awaited: Awaited) {
    this.#client = client;
    this.#side = side;
    this.#awaited = awaited;
  }

  readonly #heard = ({ connectionId, failure }: ServerHeartbeatFailedEvent): void => {
    this.#failures.set(connectionId, failure);
    const all = [...this.#failures.values()];
    if (all.length >= this.#client.options.hosts.length && all.every(isMistake)) this.#reject(failure);
    else if (this.isAway) this.#awaited.missing(failure.message);
  };

  /** Is a server waited for that has not been started yet, or a set without a primary? Not: one that hangs up, which TLS may be the reason for. */
  get isAway(): boolean {
    if (this.#isMistaken) return false;
    const all = [...this.#failures.values()];
    return all.length === 0 || all.some(isAway);
  }

  async make(uri: string): Promise<void> {
    this.#failures.clear();
    const phase = connecting(uri, this.#side);
    const given = Promise.withResolvers<never>();
    this.#reject = (error) =>
      given.reject(new FerryError("FERRY_MONGO_UNREACHABLE", `${phase}: ${unreachedText(error)}`, { cause: error }));
    this.#client.on("serverHeartbeatFailed", this.#heard);
    try {
      await Promise.race([greet(this.#client, uri, this.#side), given.promise]);
      this.#awaited.back();
    } catch (error) {
      const failure = mongoError(error, phase);
      const cause = failure.cause;
      this.#isMistaken =
        cause instanceof MongoServerSelectionError ? cause.reason?.servers.size === 0 : isMistake(cause);
      if (this.isAway) this.#awaited.missing(failure.detail);
      throw failure;
    } finally {
      this.#client.off("serverHeartbeatFailed", this.#heard);
    }
  }
}

/**
 * A connected client for a process that stays, as `connectMongo` makes it: a server that is not there yet is waited for, since
 * servers and ferry may be started in any order. Not waited for: an unknown host, TLS that does not fit, a refused password.
 * The caller closes it.
 * @throws FERRY_URI, FERRY_MONGO_UNREACHABLE, FERRY_MONGO_AUTH, FERRY_MONGO_MEMBER, the signal's reason
 */
export const reachMongo = async (uri: string, deps: ReachDeps): Promise<MongoClient> => {
  const { side, appName, pastValidators = false, clock, signal } = deps;
  const client = openMongo(uri, { appName, pastValidators });
  const first = new FirstConnection(client, side, new Awaited(`the ${side}`, deps));
  const isPassing = (error: FerryError): boolean =>
    isFerry(error, "FERRY_MONGO_UNREACHABLE", "FERRY_MONGO_TRANSIENT") && first.isAway;
  try {
    const waiting = { what: `reaching the ${side}`, clock, signal, isPassing };
    await unlessAborted(
      retryForever(() => first.make(uri), waiting),
      signal,
    );
    signal.throwIfAborted();
    return client;
  } catch (error) {
    await client.close();
    throw error;
  }
};

/** What of a side's URI ferry does not follow, as a sentence. */
export const ignoredText = (side: string, ignored: readonly string[]): string =>
  `the ${side}'s URI: ${ignored.join(", ")} ${ignored.length === 1 ? "is" : "are"} not followed; ferry reads from and writes to the primary, by majority, with limits of its own`;

/** Names, once, what of a side's URI is ferry's own business. @throws FERRY_URI on a malformed URI */
export const sayIgnored = (side: string, uri: string | undefined, logger: Logger): void => {
  const { ignored } = ferryUri(uri ?? "");
  if (ignored.length > 0) logger.warn({ stage: "start" }, ignoredText(side, ignored));
};
