import type { Command } from "commander";
import { FerryError } from "#base/errors/ferryError.ts";
import { systemClock } from "#base/flow/clock.ts";
import { every } from "#base/flow/every.ts";
import type { Logger } from "#base/observe/log.ts";
import { isControlAt, requireFree } from "#surface/api/listening.ts";
import { type ListenPlace, listenPlace, type TlsFlags, withTls } from "../../listenFlags.ts";
import { type SwitchingFlags, withSwitching } from "./switchFlags.ts";

/** As commander hands them over. */
export type BesideFlags = TlsFlags &
  Pick<SwitchingFlags, "fence" | "onRelease" | "onReturn"> &
  Readonly<{ control?: string | true }>;

const ADDRESS = "127.0.0.1:8900";

/** How often control is tried again that has failed beside a run, ms. */
const AGAIN_MS = 5000;

/** Adds the flags of a command that may be in control of its own run. */
export const withControl = (command: Command): Command =>
  withSwitching(
    withTls(
      command.option(
        "--control [address]",
        `also serve what \`ferry control\` serves, in this process: PORT or HOST:PORT (default: ${ADDRESS})`,
      ),
    ),
  );

/** Splits its flags from those of the command. */
export const splitControl = <F extends BesideFlags>({
  control,
  tlsCert,
  tlsKey,
  listenOpen,
  fence,
  onRelease,
  onReturn,
  ...rest
}: F) => ({
  beside: { control, tlsCert, tlsKey, listenOpen, fence, onRelease, onReturn } as BesideFlags,
  rest,
});

/** Where it is asked; undefined: nowhere. @throws FERRY_USAGE */
const placeOf = ({ control, ...flags }: BesideFlags): ListenPlace | undefined =>
  control === undefined
    ? undefined
    : listenPlace("--control", { ...flags, listen: control === true ? ADDRESS : control });

/** Another control process there is no obstacle: this one stands by. @throws FERRY_CONTROL_ADDRESS where it can never listen */
const requirePlace = async (place: ListenPlace): Promise<void> => {
  if (!(await isControlAt(place))) await requireFree(place.address);
};

export type BesideDeps = Readonly<{
  flags: SwitchingFlags & BesideFlags;
  logger: Logger;
  /** The operator's stop. */
  soft: AbortSignal;
}>;

/**
 * Works, and serves the API meanwhile. An address that cannot be used is refused before the work begins; whatever else befalls
 * control never ends the work.
 * @throws FERRY_USAGE, FERRY_CONTROL_ADDRESS, and what `work` throws
 */
export const besideControl = async ({ flags, logger, soft }: BesideDeps, work: () => Promise<void>): Promise<void> => {
  const place = placeOf(flags);
  if (place === undefined) return work();
  await requirePlace(place);
  const { serveControl } = await import("./serveControl.ts"); // a run without it starts without a web server's code
  const ended = new AbortController();
  const serve = (): Promise<void> =>
    serveControl(flags, place, { signal: soft, ended: ended.signal, logger }).catch((err: unknown) => {
      if (soft.aborted || ended.signal.aborted) return;
      logger.error({ stage: "control", err }, "control is not served; the run goes on, and it is tried again");
    });
  const over = AbortSignal.any([soft, ended.signal]);
  const serving = every(AGAIN_MS, { clock: systemClock, ended: over, first: "now" }, serve);
  try {
    await work();
  } finally {
    ended.abort(new FerryError("FERRY_STOPPED", "the run has ended"));
    await serving.catch(() => undefined); // said where it failed, and the work's own end is what counts
  }
};
