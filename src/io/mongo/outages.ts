import { type FerryError, isFerry } from "#base/errors/ferryError.ts";
import { unlessAborted } from "#base/flow/abort.ts";
import type { Clock } from "#base/flow/clock.ts";
import { retryForever } from "#base/flow/retry.ts";
import { Awaited } from "#base/observe/awaited.ts";
import { failureFields } from "#base/observe/failure.ts";
import type { Logger } from "#base/observe/log.ts";
import type { MongoClient, ServerSide } from "./connect.ts";
import { translated } from "./errors.ts";

/** A server that work depends on. */
export type AwaitedServer = Readonly<{
  /** As in a sentence: `the target`. */
  name: string;
  /** Asks something that only a server that works can answer. @throws a FerryError otherwise */
  ask: () => Promise<unknown>;
}>;

export type OutageDeps = Readonly<{ clock: Clock; logger: Logger; signal: AbortSignal }>;

/**
 * Is a server away, or not itself for a moment, or does it refuse a login that it took before? Timeouts of ferry's own and what
 * others hold are not meant.
 */
const isOutage = (error: FerryError): boolean =>
  isFerry(
    error,
    "FERRY_MONGO_UNREACHABLE",
    "FERRY_MONGO_TRANSIENT",
    "FERRY_MONGO_AUTH",
    "FERRY_KAFKA_UNREACHABLE",
    "FERRY_KAFKA_TRANSIENT",
    "FERRY_KAFKA_AUTH",
  );

/** Its primary answers. */
export const mongoServer = (name: string, client: MongoClient): AwaitedServer => ({
  name,
  ask: () => translated(`asking ${name}`, () => client.db("admin").command({ ping: 1 })),
});

/** Both sides of a capture, and ferry's own database where it is `apart` from the target. */
export const serversOf = ({
  source,
  target,
  apart,
  side = "target",
}: Readonly<{
  source: MongoClient;
  target: MongoClient;
  /** What `target` is called. */
  side?: ServerSide;
  apart?: MongoClient | undefined;
}>): AwaitedServer[] => [
  mongoServer("the source", source),
  mongoServer(`the ${side}`, target),
  ...(apart === undefined ? [] : [mongoServer("the state database", apart)]),
];

/** Waits for a server as long as `isPassing`, and says so. @throws errors that are not transient, the signal's reason */
const waitUntilAnswers = async (
  { name, ask }: AwaitedServer,
  { clock, logger, signal }: OutageDeps,
  isPassing: (error: FerryError) => boolean,
): Promise<void> => {
  const awaited = new Awaited(name, { clock, logger });
  const waiting = retryForever(ask, {
    what: `reaching ${name}`,
    clock,
    signal,
    isPassing,
    onRetry: (error) => awaited.missing(error),
  });
  await unlessAborted(waiting, signal);
  signal.throwIfAborted();
  awaited.back();
};

/**
 * Waits for a server without end, and says so: what it is waiting for, why, and after how long it was back.
 * @throws errors that are not transient, the signal's reason
 */
const whenAnswers = (server: AwaitedServer, deps: OutageDeps): Promise<void> =>
  waitUntilAnswers(server, deps, isOutage);

/** What only a hand can change, before anything has worked. */
const isMistake = ({ entry, facts }: FerryError): boolean => entry.retry === "operator" || facts["mistake"] === true;

/**
 * Waits for a server that nothing was heard of yet: a host that DNS does not know and a login that is refused are mistakes here.
 * Later the same answer is an outage, as when a container and its name are gone for a moment, or a password is being changed.
 * @throws errors that are not transient, the signal's reason
 */
export const whenFirstAnswers = (server: AwaitedServer, deps: OutageDeps): Promise<void> =>
  waitUntilAnswers(server, deps, (error) => isOutage(error) && !isMistake(error));

/**
 * Work that may be done again from its beginning, however far it came: where a server goes away in the middle, it is waited
 * for, and the work is done again. So a phase may call its servers without a thought for outages.
 * @param what as in a sentence: `building the structure`
 * @throws whatever is no outage, the signal's reason
 */
export const throughOutages = <T>(
  what: string,
  servers: readonly AwaitedServer[],
  deps: OutageDeps,
  work: () => Promise<T>,
): Promise<T> => {
  const { clock, logger, signal } = deps;
  let interrupted = false;
  return retryForever(
    async () => {
      if (interrupted) for (const server of servers) await whenAnswers(server, deps);
      interrupted = true;
      return work();
    },
    {
      what,
      clock,
      signal,
      isPassing: isOutage,
      onRetry: (error) =>
        logger.warn({ stage: "waiting", ...failureFields(error) }, `interrupted while ${what}; it is repeated`),
    },
  );
};
