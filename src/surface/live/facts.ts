import { count, duration } from "#base/flow/figures.ts";
import type { Tone } from "#surface/terminal/palette.ts";
import type { Fact } from "./picture.ts";

export const fact = (text: string, tone: Tone = "plain"): Fact => ({ text, tone });

/** A target that is this far behind is in step; and from here on a person should look, ms. */
const IN_STEP_MS = 3000;
const FAR_MS = 60_000;

/** How old the oldest change is that is not there. */
export const behindFact = (ms: number): Fact => {
  const tone = ms <= IN_STEP_MS ? "good" : ms <= FAR_MS ? "warn" : "bad";
  return fact(ms < 60_000 ? `${(ms / 1000).toFixed(1)} s behind` : `${duration(ms)} behind`, tone);
};

export const lettersFact = (letters: number): Fact =>
  letters === 0 ? fact("no dead letters", "quiet") : fact(count(letters, "dead letter"), "bad");

/** A full oplog removes its oldest entries: what is left before the position. */
export const oplogFact = (leftSeconds: number, isShort: boolean): Fact =>
  fact(`${duration(Math.max(0, leftSeconds) * 1000)} of the oplog left`, isShort ? "bad" : "quiet");
