import type { Static } from "typebox";
import type { AskedOf } from "#surface/api/contract/operation.ts";
import type { OPERATIONS } from "#surface/api/contract/operations.ts";

type Operations = typeof OPERATIONS;

type PathOf<N extends keyof Operations> = `${Operations[N]["method"]} ${Operations[N]["path"]}`;

/** What the console asks for. The compiler holds each beside the API's contract: nothing of that is in the page itself. */
export const ASKED = {
  getToken: "GET /token",
  watchOverview: "GET /events",
  listCopy: "GET /copy",
  listRoutes: "GET /routes",
  previewRoute: "POST /routes/preview",
  listFindings: "GET /verification/findings",
  compareDocument: "GET /verification/document",
  listLanes: "GET /lanes",
  listWorkers: "GET /workers",
  listConnectors: "GET /connectors",
  listRouteNotes: "GET /routes/notes",
  listDrift: "GET /drift",
  decideDrift: "POST /drift/decisions",
  listConflicts: "GET /conflicts",
  getConflict: "GET /conflicts/{id}",
  listLetters: "GET /dead-letters",
  getLetter: "GET /dead-letters/{id}",
  decideLetters: "POST /dead-letters/decisions",
  getVerification: "GET /verification",
  getCutover: "GET /cutover",
  getReadiness: "GET /cutover/readiness",
  rehearseCutover: "POST /cutover/rehearse",
  startCutover: "POST /cutover",
  abortCutover: "POST /cutover/abort",
  getRollback: "GET /rollback",
  getRollbackReadiness: "GET /rollback/readiness",
  rehearseRollback: "POST /rollback/rehearse",
  startRollback: "POST /rollback",
  abortRollback: "POST /rollback/abort",
  finalizeRun: "POST /finalize",
  pauseRun: "POST /run/pause",
  resumeRun: "POST /run/resume",
  listAudit: "GET /audit",
} as const satisfies { readonly [N in keyof Operations]?: PathOf<N> };

export type Asked = keyof typeof ASKED;
export type Answer<N extends Asked> = Static<Operations[N]["answer"]>;
export type Question<N extends Asked> = Partial<AskedOf<Operations[N]>>;

export type Overview = Answer<"watchOverview">;
export type Letter = Answer<"listLetters">["letters"][number];
export type Lane = Answer<"listLanes">[number];
export type Role = Answer<"getToken">["role"];
