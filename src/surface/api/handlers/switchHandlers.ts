import { listed } from "#base/flow/namespaceFilter.ts";
import { readNewestCutover } from "#cutover/machine/cutoverStore.ts";
import type { FenceKind } from "#cutover/machine/parts.ts";
import type { CutoverRecord } from "#cutover/machine/record.ts";
import { RehearsalStore } from "#cutover/machine/rehearsal.ts";
import { cutoverFacts } from "#cutover/machine/report.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { cutoverReadiness, reverseStateOf } from "#process/control/cutoverReadiness.ts";
import type { DeskJob } from "#process/control/jobs.ts";
import type { SwitchDesk } from "#process/control/switchDesk.ts";
import type { Role } from "#process/control/tokenStore.ts";
import { readinessFacts } from "#process/switch/readinessFacts.ts";
import type { AnswerOf } from "../contract/operation.ts";
import type { SWITCH_OPERATIONS } from "../contract/switchOperations.ts";
import type { Asking, ControlParts, Handlers } from "./handler.ts";
import { reasonFor } from "./reasonFor.ts";

type CutoverAnswer = AnswerOf<(typeof SWITCH_OPERATIONS)["getCutover"]>;
type ReadinessAnswer = AnswerOf<(typeof SWITCH_OPERATIONS)["getReadiness"]>;

/** A job as a role may know it. */
export const jobFor = (role: Role, job: DeskJob): NonNullable<CutoverAnswer["job"]> => {
  const { act, on, by, at, endedAt, refused } = job;
  const why = refused && { code: refused.code, detail: refused.detail, hint: refused.entry.hint };
  return {
    ...{ act, on, by: by.who, at, endedAt },
    refused: why && { ...why, detail: reasonFor(role, why.code, why.detail) },
  };
};

/** A cutover as a role may know it. */
export const cutoverFor = (role: Role, record: CutoverRecord): NonNullable<CutoverAnswer["cutover"]> => {
  const { refused, ...facts } = cutoverFacts(record);
  return { ...facts, refused: refused && { ...refused, detail: reasonFor(role, refused.code, refused.detail) } };
};

const cutoverAnswer = async (
  role: Role,
  record: CutoverRecord | null,
  { state, migration, desk }: Readonly<{ state: StateDb; migration: string; desk: SwitchDesk }>,
): Promise<CutoverAnswer> => {
  const last = await new RehearsalStore(state).last();
  return {
    migration,
    cutover: record && cutoverFor(role, record),
    rehearsal: last === undefined ? null : { at: last.at, pauseMs: last.pauseMs, parts: last.parts },
    job: desk.last === undefined ? null : jobFor(role, desk.last),
  };
};

type ReadinessAsked = Readonly<{ namespace?: string; fence?: FenceKind; accept?: string }>;

const readinessAnswer = async (
  isBack: boolean,
  { namespace = "", fence, accept = "" }: ReadinessAsked,
  { token: { role }, signal }: Asking,
  { servers }: ControlParts,
): Promise<ReadinessAnswer> => {
  const choice = { isBack, named: listed(namespace), fence, accepted: listed(accept) };
  const facts = readinessFacts(await cutoverReadiness(choice, servers, signal), choice.named);
  const missing = facts.missing.map(({ code, detail, hint }) => ({
    code,
    detail: reasonFor(role, code, detail),
    hint,
  }));
  return { ...facts, missing };
};

/** What is proven, and how a cutover or a rollback stands. */
export const SWITCH_HANDLERS = {
  getVerification: async (_, _asking, { overview }) => (await overview.current()).verification,

  getCutover: async (_, { token: { role } }, { overview, desk, servers: { state } }) => {
    const { cutover } = await overview.current();
    return cutoverAnswer(role, cutover, { state, migration: state.name, desk });
  },

  getRollback: async (_, { token: { role } }, { desk, servers }) => {
    const state = reverseStateOf(servers);
    const record = (await readNewestCutover(state))?.record ?? null;
    return cutoverAnswer(role, record, { state, migration: servers.state.name, desk });
  },

  getReadiness: ({ query }, asking, parts) => readinessAnswer(false, query, asking, parts),
  getRollbackReadiness: ({ query }, asking, parts) => readinessAnswer(true, query, asking, parts),
} satisfies Partial<Handlers>;
