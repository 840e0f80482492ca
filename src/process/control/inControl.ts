import { type FerryError, isFerry } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { every } from "#base/flow/every.ts";
import { lookUntil } from "#base/flow/lookUntil.ts";
import { Awaited } from "#base/observe/awaited.ts";
import type { Logger } from "#base/observe/log.ts";
import type { ControlLease } from "./controlLease.ts";

/** A process that was killed is followed within this, ms. */
export const CONTROL_LEASE_MS = 3000;
/** How often the lease is renewed, and looked at by those that stand by, ms. */
const LOOK_MS = 500;

export type InControlDeps = Readonly<{
  lease: ControlLease;
  clock: Clock;
  logger: Logger;
  /** Ends it. */
  signal: AbortSignal;
}>;

/** Keeps the lease until `ended`, or until another process has it. A server that is away takes it from no process. */
const keep = (
  { lease, clock }: InControlDeps,
  { away, ended, lose }: Readonly<{ away: Awaited; ended: AbortSignal; lose: () => void }>,
): Promise<void> =>
  every(LOOK_MS, { clock, ended, first: "later" }, async () => {
    try {
      if (!(await lease.renew())) lose();
      away.back();
    } catch (error) {
      away.missing(passing(error));
    }
  });

/** @throws what does not pass */
const passing = (error: unknown): FerryError => {
  if (isFerry(error) && error.entry.retry !== "never") return error;
  throw error;
};

/** Stands by until this process is in control. @throws the signal's reason, and what does not pass */
const standBy = ({ lease, clock, logger, signal }: InControlDeps, away: Awaited): Promise<true> => {
  let said: string | undefined;
  return lookUntil(LOOK_MS, { clock, signal }, async () => {
    try {
      const other = await lease.take();
      away.back();
      if (other !== undefined && other !== said)
        logger.info({ stage: "control" }, `standing by: ${other} is in control`);
      said = other;
      return other === undefined;
    } catch (error) {
      away.missing(passing(error));
      return false;
    }
  });
};

/**
 * Works while this process is in control, and stands by while another one is; until the signal.
 * @param work ends when its signal aborts
 * @throws what `work` throws, what a server refuses for good, and the signal's reason while it stands by
 */
export const inControl = async (deps: InControlDeps, work: (ended: AbortSignal) => Promise<void>): Promise<void> => {
  const { lease, clock, logger, signal } = deps;
  const away = new Awaited("the state database", { clock, logger });
  while (!signal.aborted) {
    await standBy(deps, away);
    const lost = new AbortController();
    const ended = AbortSignal.any([signal, lost.signal]);
    const lose = (): void => {
      logger.warn({ stage: "control" }, "another process has taken control: standing by");
      lost.abort();
    };
    const keeping = keep(deps, { away, ended, lose });
    const working = work(ended);
    try {
      await Promise.race([working, keeping.then(() => working)]);
    } finally {
      lost.abort();
      await Promise.allSettled([working, keeping]);
      await lease.leave().catch(() => undefined); // then it is free when the lease is over
    }
  }
};
