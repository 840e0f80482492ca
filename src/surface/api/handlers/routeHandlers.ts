import { bsonText } from "#base/bson/text.ts";
import { destinationText } from "#base/config/destination.ts";
import type { Route } from "#base/config/routes.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { type ControlServers, required } from "#process/control/cutoverReadiness.ts";
import type { Role } from "#process/control/tokenStore.ts";
import { readCopyProgress } from "#process/report/copyProgress.ts";
import { tryFilter } from "#process/report/filterTry.ts";
import { bothVersions, findingFacts } from "#process/report/findingFacts.ts";
import type { Overview } from "#process/report/overview.ts";
import { VerificationStore } from "#proof/verify/verificationStore.ts";
import { routeNamed } from "#route/table/routesOn.ts";
import type { AnswerOf } from "../contract/operation.ts";
import type { OPERATIONS } from "../contract/operations.ts";
import { DEFAULT_LIMIT } from "../contract/shapes.ts";
import { type Handlers, seesDocuments } from "./handler.ts";

type RouteLine = AnswerOf<(typeof OPERATIONS)["listRoutes"]>[number];

const SAMPLE = 20;

const lineFor = (role: Role, { name, from, to, fields, where, drift, conflict }: Route): RouteLine => ({
  ...{ route: name, from, to: destinationText(to), newField: drift.newField, typeChange: drift.typeChange },
  rules: seesDocuments(role) ? { fields: fields ?? null, where: where ?? null } : null,
  hasRules: fields !== undefined || where !== undefined,
  conflict: conflict ?? null,
});

/** Those of the configuration; without one, those that lanes carry, and each goes to the namespace of its name. */
const routesAtWork = ({ routes }: ControlServers, { lanes }: Pick<Overview, "lanes">): readonly Route[] =>
  routes ?? [...new Set(lanes.map(({ route }) => route))].sort().flatMap((name) => routeNamed(undefined, name) ?? []);

/** Only what is carried can be looked at. @throws FERRY_API_UNKNOWN */
const carriedRoute = (name: string, servers: ControlServers, overview: Pick<Overview, "lanes">): Route => {
  const found = routesAtWork(servers, overview).find((route) => route.name === name);
  if (found === undefined) throw new FerryError("FERRY_API_UNKNOWN", `there is no route ${name}`);
  return found;
};

const jsonOf = (raw: Uint8Array | undefined): unknown => (raw === undefined ? null : JSON.parse(bsonText(raw)));

/** What routes do, how far each collection is copied, and what verification found of single documents. */
export const ROUTE_HANDLERS = {
  listCopy: async (_, _asking, { servers: { state } }) => readCopyProgress(state),

  listRoutes: async (_, { token: { role } }, { servers, overview }) =>
    routesAtWork(servers, await overview.current()).map((route) => lineFor(role, route)),

  previewRoute: async ({ body }, _, { servers, overview }) => {
    const { route: name, sample = SAMPLE, where, ...paths } = body;
    const known = carriedRoute(name, servers, await overview.current());
    const isOther = where !== undefined || Object.keys(paths).length > 0;
    const mask = known.fields?.mask;
    const fields = { ...paths, ...(mask === undefined ? {} : { mask }) };
    const { fields: _fields, where: _where, ...plain } = known;
    const tried = { ...plain, ...(Object.keys(fields).length === 0 ? {} : { fields }), ...(where && { where }) };
    const trial = await tryFilter(isOther ? tried : known, required(servers.source, "--source"), sample);
    const documents = trial.documents.map(({ before, after, lost }) => ({
      before: jsonOf(before),
      after: jsonOf(after),
      lost,
    }));
    return { ...trial, documents };
  },

  listFindings: async ({ query: { route, limit = DEFAULT_LIMIT } }, { token: { role } }, { servers: { state } }) => {
    const { total, first } = await new VerificationStore(state).wrong(route, limit);
    const findings = first.map(findingFacts);
    return { total, findings: seesDocuments(role) ? findings : findings.map((one) => ({ ...one, key: null })) };
  },

  compareDocument: async ({ query: { route, key } }, _, { servers, overview }) => {
    const known = carriedRoute(route, servers, await overview.current());
    const [source, target] = [required(servers.source, "--source"), required(servers.target, "--target")];
    return bothVersions(known, key, { source, target });
  },
} satisfies Partial<Handlers>;
