import { unlessAborted } from "#base/flow/abort.ts";
import { systemClock } from "#base/flow/clock.ts";
import { every } from "#base/flow/every.ts";
import { wholeDuration } from "#base/flow/figures.ts";
import { readOverview } from "#process/report/overview.ts";
import type { UnreadPart } from "#process/report/readingParts.ts";
import type { StatusDeps } from "#process/report/status.ts";
import { fact } from "#surface/live/facts.ts";
import { openFullScreen } from "#surface/live/fullScreen.ts";
import { OverviewPicture } from "#surface/live/overviewPicture.ts";
import { type Picture, pictureLines } from "#surface/live/picture.ts";
import { print } from "#surface/terminal/output.ts";
import { withSignals } from "#surface/terminal/signals.ts";
import { exitOf, summaryOf } from "#surface/terminal/statusSummary.ts";
import { terminalKind } from "#surface/terminal/terminalKind.ts";

/** How often it is read again, ms; where it is not drawn but written, each makes a line. */
const READ_MS = 1000;
const LINE_MS = 10_000;
/** What is older is shown with its age, ms: a server does not answer. */
const OLD_MS = 4000;

const EMPTY: Picture = {
  title: "ferry status",
  facts: [fact("reading")],
  phases: [],
  parts: [],
  needs: [],
  columns: [],
};

/** Until it is left: the state of the migration on the whole terminal, or as a line now and then where there is none. */
export const watchStatus = (parts: StatusDeps, unread: readonly UnreadPart[]): Promise<void> =>
  withSignals(async ({ soft }) => {
    const overview = new OverviewPicture();
    let [picture, readAt] = [EMPTY, systemClock.now()];
    const shown = (): Picture => {
      const age = systemClock.now() - readAt;
      const old = age < OLD_MS ? [] : [fact(`as of ${wholeDuration(age)} ago`, "warn")];
      return { ...picture, facts: [...old, ...picture.facts, fact("q: quit", "quiet")] };
    };
    const isDrawn = terminalKind(process.env, process) === "drawn";
    using screen = isDrawn ? openFullScreen((look) => pictureLines(shown(), look)) : undefined;
    const ended = screen === undefined ? soft : AbortSignal.any([soft, screen.quit]);
    const read = async (): Promise<void> => {
      const found = await readOverview(parts);
      const whole = { ...found, unread: [...unread, ...found.unread] };
      readAt = systemClock.now();
      picture = overview.of(whole, readAt);
      process.exitCode = exitOf(whole);
      if (screen === undefined) print(summaryOf(whole));
    };
    await every(screen === undefined ? LINE_MS : READ_MS, { clock: systemClock, ended, first: "now" }, () =>
      unlessAborted(read(), ended),
    );
  });
