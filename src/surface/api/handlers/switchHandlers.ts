import { listed } from "#base/flow/namespaceFilter.ts";
import { RehearsalStore } from "#cutover/machine/rehearsal.ts";
import { cutoverFacts } from "#cutover/machine/report.ts";
import { cutoverReadiness } from "#process/control/cutoverReadiness.ts";
import type { Handlers } from "./handler.ts";
import { reasonFor } from "./reasonFor.ts";

/** What is proven, and how services change over. */
export const SWITCH_HANDLERS = {
  getVerification: async (_, _asking, { overview }) => (await overview.current()).verification,

  getCutover: async (_, { token: { role } }, { overview, servers: { state } }) => {
    const { cutover } = await overview.current();
    const last = await new RehearsalStore(state).last();
    const facts = cutover && cutoverFacts(cutover);
    const refused = facts?.refused ?? null;
    return {
      cutover: facts && {
        ...facts,
        refused: refused && { ...refused, detail: reasonFor(role, refused.code, refused.detail) },
      },
      rehearsal: last === undefined ? null : { at: last.at, pauseMs: last.pauseMs, parts: last.parts },
    };
  },

  getReadiness: async ({ query: { namespace = "", fence, accept = "" } }, { token: { role }, signal }, { servers }) => {
    const choice = { named: listed(namespace), fence, accepted: listed(accept) };
    const { missing, last } = await cutoverReadiness(choice, servers, signal);
    return {
      ready: missing.length === 0,
      missing: missing.map(({ code, detail, entry: { hint } }) => ({
        code,
        detail: reasonFor(role, code, detail),
        hint,
      })),
      expectedPauseMs: last?.pauseMs ?? null,
    };
  },
} satisfies Partial<Handlers>;
