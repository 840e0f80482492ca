import { acceptedCodes } from "#base/config/acceptedCodes.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { FenceKind } from "#cutover/machine/parts.ts";
import { required } from "#process/control/cutoverReadiness.ts";
import type { DeskJob } from "#process/control/jobs.ts";
import type { SwitchRequest } from "#process/control/switchDesk.ts";
import type { AnswerOf } from "../contract/operation.ts";
import type { SWITCH_OPERATIONS } from "../contract/switchOperations.ts";
import { type Asking, authorOf, type ControlParts, type Handlers } from "./handler.ts";
import { cutoverFor, jobFor } from "./switchHandlers.ts";

type SwitchBody = Readonly<{
  namespaces?: string[];
  fence?: FenceKind;
  maxPauseMs?: number;
  maxLagMs?: number;
  accept?: string[];
  verifyRest?: boolean;
}>;

type AbortBody = Readonly<{ namespaces?: string[]; fence?: FenceKind; allowBoth?: boolean; confirm?: string }>;

/** As the commands have them. */
const DEFAULTS = { maxPauseMs: 5000, maxLagMs: 2000 } as const;

const requestOf = ({
  namespaces: named = [],
  accept = [],
  fence,
  verifyRest = false,
  ...times
}: SwitchBody): SwitchRequest => {
  const { maxPauseMs = DEFAULTS.maxPauseMs, maxLagMs = DEFAULTS.maxLagMs } = times;
  return { named, fence, maxPauseMs, maxLagMs, accepted: acceptedCodes(accept.join(",")), verifyRest };
};

/** A person has typed what is switched. @throws FERRY_API_CONFIRM */
const requireConfirmed = (
  { servers: { state } }: ControlParts,
  { namespaces = [], confirm }: Readonly<{ namespaces?: readonly string[]; confirm?: string }>,
): void => {
  const word = namespaces.length === 0 ? state.name : namespaces.join(",");
  if (confirm !== word) throw new FerryError("FERRY_API_CONFIRM", `\`confirm\` must be ${word}`);
};

/** @throws FERRY_CONTROL_WITHOUT where this process does not know both sides */
const requireSides = ({ servers }: ControlParts): void => {
  required(servers.source, "--source");
  required(servers.target, "--target");
};

const started = ({ token: { role } }: Asking, job: DeskJob): AnswerOf<(typeof SWITCH_OPERATIONS)["startCutover"]> => ({
  job: jobFor(role, job),
  cutover: job.record === undefined ? null : cutoverFor(role, job.record),
});

type Answering<B> = (
  asked: Readonly<{ body: B }>,
  asking: Asking,
  parts: ControlParts,
) => Promise<AnswerOf<(typeof SWITCH_OPERATIONS)["startCutover"]>>;

const rehearse =
  (isBack: boolean): Answering<SwitchBody> =>
  async ({ body }, asking, parts) => {
    requireSides(parts);
    return started(asking, await parts.desk.rehearse(isBack, requestOf(body), authorOf(asking.token)));
  };

const start =
  (isBack: boolean): Answering<SwitchBody & Readonly<{ confirm: string }>> =>
  async ({ body: { confirm, ...body } }, asking, parts) => {
    requireSides(parts);
    const request = requestOf(body);
    requireConfirmed(parts, { namespaces: request.named, confirm });
    return started(asking, await parts.desk.start(isBack, request, authorOf(asking.token)));
  };

const abort =
  (isBack: boolean): Answering<AbortBody> =>
  async ({ body }, asking, parts) => {
    requireSides(parts);
    const { namespaces: named = [], fence, allowBoth = false } = body;
    if (allowBoth) requireConfirmed(parts, body);
    return started(asking, await parts.desk.abort(isBack, { named, fence, allowBoth }, authorOf(asking.token)));
  };

/** What takes longer than a request: each may be asked again. */
export const DESK_HANDLERS = {
  rehearseCutover: rehearse(false),
  startCutover: start(false),
  abortCutover: abort(false),
  rehearseRollback: rehearse(true),
  startRollback: start(true),
  abortRollback: abort(true),

  finalizeRun: async ({ body: { confirm, accept = [], allowWrites = false } }, asking, parts) => {
    requireSides(parts);
    requireConfirmed(parts, { confirm });
    const accepted = [...acceptedCodes(accept.join(",")), ...(allowWrites ? ["FERRY_SOURCE_WRITES"] : [])];
    return started(asking, await parts.desk.finalize(accepted, authorOf(asking.token)));
  },
} satisfies Partial<Handlers>;
