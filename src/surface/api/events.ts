import type { Clock } from "#base/flow/clock.ts";
import { lookUntil } from "#base/flow/lookUntil.ts";

/** How often it is looked whether something has changed, ms. */
const LOOK_MS = 1000;
/** A stream in which nothing changes says so this often, ms: proxies and clients notice one that is dead. */
const QUIET_MS = 15_000;

export type EventsOf<T> = Readonly<{
  /** As server-sent events call it. */
  name: string;
  /** How often its answer changes is how often an event is sent. @throws what ends the stream */
  look: () => Promise<T & Readonly<{ at: unknown }>>;
  clock: Clock;
  signal: AbortSignal;
}>;

/** Server-sent events: what `look` tells, whenever more than its time has changed. Ends quietly when looking fails. */
export async function* serverSentEvents<T>({ name, look, clock, signal }: EventsOf<T>): AsyncGenerator<string> {
  yield `retry: ${LOOK_MS}\n\n`;
  let [said, saidAt] = ["", clock.now()];
  const next = async (): Promise<string | undefined> => {
    const { at, ...rest } = await look();
    const text = JSON.stringify(rest);
    const isQuiet = text === said;
    if (isQuiet && clock.now() - saidAt < QUIET_MS) return undefined;
    [said, saidAt] = [text, clock.now()];
    return isQuiet ? ": nothing has changed\n\n" : `event: ${name}\ndata: ${JSON.stringify({ at, ...rest })}\n\n`;
  };
  for (;;) {
    const event = await lookUntil(LOOK_MS, { clock, signal }, next).catch(() => undefined);
    if (event === undefined) return;
    yield event;
  }
}
