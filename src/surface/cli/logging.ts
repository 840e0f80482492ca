import type { ListenAddress } from "#base/config/listenAddress.ts";
import type { Settings } from "#base/config/settings.ts";
import type { Logger } from "#base/observe/log.ts";
import type { LabelsOf } from "#base/observe/metricCatalogue.ts";
import type { Vitals } from "#base/observe/vitals.ts";
import { observed } from "#process/metrics/observed.ts";
import { HeardVitals } from "#surface/live/heardVitals.ts";
import { openLiveView } from "#surface/live/liveView.ts";
import { WorkPicture } from "#surface/live/workPicture.ts";
import { isText, openLogger } from "#surface/terminal/textLogger.ts";

type LogSettings = Partial<Settings> & Pick<Settings, "logLevel">;

export const loggerOf = ({ logLevel, logFormat }: LogSettings): Logger => openLogger(logLevel, logFormat);

type Watching = Readonly<{ settings: LogSettings; place: ListenAddress | undefined; logger: Logger }>;

/** Works, and shows itself meanwhile: to who asks for metrics at `place`, and to the person at the terminal, if there is one. */
export const watched = (
  { settings, place, logger }: Watching,
  about: LabelsOf<"ferry_build_info">,
  work: (vitals: Vitals) => Promise<void>,
): Promise<void> =>
  observed(place, about, logger, async (vitals) => {
    if (!isText(settings.logFormat) || settings.logLevel === "silent") return work(vitals);
    const heard = new HeardVitals(vitals);
    const picture = new WorkPicture(about.command, heard, Date.now());
    using _view = openLiveView((at) => picture.at(at), { leaves: true });
    try {
      await work(heard);
    } finally {
      picture.end();
    }
  });
