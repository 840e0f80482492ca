import { statusFacts } from "#process/report/status.ts";
import type { Handlers } from "./handler.ts";
import { captureFor, overviewAnswer } from "./overviewAnswer.ts";
import { reasonFor } from "./reasonFor.ts";

/** What `ferry status` knows, each part as a resource. */
export const STATUS_HANDLERS = {
  getToken: async (_, { token: { id, role, name, expiresAt } }) => ({ id, role, name, expiresAt }),

  getOverview: async (_, { token: { role } }, { overview, desk }) =>
    overviewAnswer(role, await overview.current(), desk.last),

  getCapture: async (_, { token: { role } }, { overview }) => ({
    capture: captureFor(role, (await overview.current()).own),
  }),

  listLanes: async (_, _asking, { overview }) => (await overview.current()).lanes,

  listWorkers: async (_, _asking, { overview }) => (await overview.current()).workers,

  listConnectors: async (_, { token: { role } }, { overview }) => {
    const { connectors, findings, topics, ends } = statusFacts(await overview.current());
    return {
      connectors: connectors.map(({ name, status }) => ({
        name,
        type: status.type,
        state: status.connector.state,
        tasks: status.tasks.map(({ id, state }) => ({ id, state })),
      })),
      findings: findings.map((one) => ({ ...one, sentence: reasonFor(role, one.code, one.sentence) })),
      ...{ topics, ends },
    };
  },

  listRouteNotes: async (_, { token: { role } }, { overview }) => {
    const { halted, notes } = await overview.current();
    return {
      halted: halted.map(({ route, code, detail }) => ({ route, code, detail: reasonFor(role, code, detail) })),
      notes: notes.map(({ route, code, detail }) => ({ route, code, detail })),
    };
  },
} satisfies Partial<Handlers>;
