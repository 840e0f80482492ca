import type { Command } from "commander";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { systemClock } from "#base/flow/clock.ts";
import { count } from "#base/flow/figures.ts";
import { switchedOver } from "#cutover/machine/switchedOver.ts";
import { readCarriedCollections } from "#proof/verify/carried.ts";
import { followNamespaces } from "#proof/verify/followNamespaces.ts";
import type { PassResult } from "#proof/verify/verification.ts";
import type { Verified } from "#proof/verify/verifiedUpTo.ts";
import { type VerifyDeps, type VerifyReport, verifyNamespaces } from "#proof/verify/verifyNamespaces.ts";
import type { SinkOf } from "#sink/open/openSink.ts";
import { timeText } from "#source/stream/resumeToken.ts";
import { NO_VIEW, openLiveView } from "#surface/live/liveView.ts";
import { VerifyPicture } from "#surface/live/verifyPicture.ts";
import { plainLogger, print, printJson } from "#surface/terminal/output.ts";
import { type BothFlags, withBothSides, withCarried } from "../bothSides.ts";
import { wholeNumber, withConnections, withTarget } from "../connections.ts";
import { otherWay } from "../otherWay.ts";
import { resultFacts, resultLines, sayLeftOut, structureLines, verifiedLine } from "../verifyText.ts";

type VerifyFlags = BothFlags & Readonly<{ waitSeconds: string; follow?: boolean; maxSourceLoad?: string }>;

/** `ferry verify`: is everything on the target that should be there? */
export const registerVerify = (command: Command): void => {
  withCarried(withConnections(command, ["source", "target", "kafka", "state"]))
    .option("--once", "one pass, then end (default)")
    .option("-f, --follow", "after the pass, check every change on both sides, until stopped")
    .option(
      "--max-source-load <ms>",
      "slow down while one small read of the source takes longer than this, ms (95th percentile) (default: no limit)",
    )
    .option("--reverse", "compare what `ferry run --reverse` carries back; the other flags as for that")
    .option("--wait-seconds <n>", "end the pass after this time without progress, although documents are behind", "30")
    .action((flags: VerifyFlags) => verify(flags.reverse === true ? otherWay(flags) : flags));
};

const verify = (flags: VerifyFlags): Promise<void> =>
  withTarget(flags, "ferry verify", (target, state) =>
    withBothSides(flags, "ferry verify", { target, state }, async ({ uri, ...sides }) => {
      const deps = { ...sides, ...limitsOf(flags, uri), switchedOver: () => switchedOver(state) };
      await (flags.follow === true ? follow(flags, deps) : once(flags, deps));
    }),
  );

type Limits = Pick<VerifyDeps, "patienceMs" | "sourceLoad" | "onRetry" | "onResult">;

/** What is not compared, as a sentence. */
const leftOut = (switched: string): string =>
  `not compared, since services were sent to the target: ${switched} (\`ferry verify --reverse\` compares the way back)`;

const limitsOf = (flags: VerifyFlags, uri: string): Limits => {
  const { maxSourceLoad } = flags;
  return {
    patienceMs: wholeNumber("--wait-seconds", flags.waitSeconds) * 1000,
    sourceLoad:
      maxSourceLoad === undefined ? undefined : { uri, limitMs: wholeNumber("--max-source-load", maxSourceLoad) },
    onRetry: ({ detail }, attempt) => {
      if (attempt === 3) plainLogger.warn({ stage: "verify" }, `${detail}; trying again`);
    },
    onResult: (result) => {
      if (flags.json !== true) print(resultLines(result).join("\n"));
    },
  };
};

/** What tells a live view, and the view, which the caller disposes of. */
const watching = (flags: VerifyFlags, deps: VerifyDeps) => {
  const picture = new VerifyPicture(systemClock.now());
  const onResult = (result: PassResult): void => {
    picture.result(result);
    deps.onResult(result);
  };
  const tells = { onResult, onCompared: picture.compared, onEstimate: picture.estimate };
  const view = flags.json === true ? NO_VIEW : openLiveView(picture.at, { leaves: false });
  return { picture, view, tells };
};

const pass = async (flags: VerifyFlags, deps: VerifyDeps & Readonly<{ sinkOf: SinkOf }>): Promise<VerifyReport> => {
  const { view, tells } = watching(flags, deps);
  using _view = view;
  return await verifyNamespaces({ ...deps, ...tells });
};

const once = async (flags: VerifyFlags, deps: VerifyDeps & Readonly<{ sinkOf: SinkOf }>): Promise<void> => {
  const report = await pass(flags, deps);
  const { routes, structure, switched } = report;
  if (flags.json === true) printJson({ routes: routes.map(resultFacts), structure, switched });
  else
    for (const line of [...structureLines(structure), ...(switched.length > 0 ? [leftOut(switched.join(", "))] : [])])
      print(line);
  conclude(report);
};

/** Lines for people come this far apart, where nothing but the time has changed, ms. */
const SAY_MS = 10_000;

/** Until it is stopped: says how far is proven, as JSON once a second. */
const follow = async (flags: VerifyFlags, deps: VerifyDeps): Promise<void> => {
  sayLeftOut(await readCarriedCollections(deps));
  let [said, saidAt, began] = ["", 0, false];
  const say = (verified: Verified): void => {
    const state = JSON.stringify({ ...verified, upTo: undefined, behind: undefined });
    if (state === said && systemClock.now() - saidAt < SAY_MS) return;
    [said, saidAt] = [state, systemClock.now()];
    print(verifiedLine(verified));
  };
  const { picture, view, tells } = watching(flags, deps);
  using _view = view;
  const onVerified = (verified: Verified): boolean => {
    began = true;
    picture.say(verifiedLine(verified));
    if (flags.json === true) printJson({ ...verified, upTo: verified.upTo === 0n ? null : timeText(verified.upTo) });
    else say(verified);
    return false;
  };
  try {
    await followNamespaces({ ...deps, ...tells, onVerified });
  } catch (error) {
    // The end that a verification which follows is there for.
    if (!began || !isFerry(error, "FERRY_VERIFY_SWITCHED")) throw error;
    if (flags.json !== true) print(leftOut(error.detail));
  }
};

/** @throws FERRY_VERIFY_WRONG, FERRY_VERIFY_BEHIND */
const conclude = ({ routes, structure }: VerifyReport): void => {
  const wrong = routes.reduce((sum, result) => sum + result.wrong, 0);
  const behind = routes.reduce((sum, result) => sum + result.behind, 0);
  const built = structure.filter(({ deferred }) => !deferred).length;
  const parts = [
    ...(wrong === 0 ? [] : [count(wrong, "document")]),
    ...(built === 0 ? [] : [`${count(built)} parts of the structure`]),
  ];
  if (parts.length > 0) throw new FerryError("FERRY_VERIFY_WRONG", parts.join(", "));
  if (behind > 0) throw new FerryError("FERRY_VERIFY_BEHIND", count(behind, "document"));
};
