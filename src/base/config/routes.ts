import { existsSync } from "node:fs";
import { type Static, Type } from "typebox";
import { Value } from "typebox/value";
import { parseDocument } from "yaml";
import { FerryError } from "#base/errors/ferryError.ts";
import { type ConfigFinding, complaint } from "./complaint.ts";
import { DESTINATION, type Destination, destinationOf, destinationText, NAMESPACE } from "./destination.ts";
import { readTextFile } from "./textFile.ts";

const closed = { additionalProperties: false } as const;

const MASK = Type.Union([
  Type.Object(
    {
      sha256: Type.Object(
        { saltEnv: Type.String({ description: "Environment variable that holds the secret salt." }) },
        closed,
      ),
    },
    closed,
  ),
  Type.Object({ text: Type.String({ description: "The text that stands for every value." }) }, closed),
  Type.Object(
    { keepLast: Type.Integer({ minimum: 0, description: "How many last characters stay readable." }) },
    closed,
  ),
]);

const FIELDS = Type.Object(
  {
    allow: Type.Optional(
      Type.Array(Type.String(), {
        minItems: 1,
        description: "Paths that are written; everything else stays out. `_id` always is.",
      }),
    ),
    deny: Type.Optional(Type.Array(Type.String(), { description: "Paths that stay out." })),
    rename: Type.Optional(Type.Record(Type.String(), Type.String(), { description: "Path to its new last name." })),
    mask: Type.Optional(
      Type.Record(Type.String(), MASK, { description: "Path to how its values are made unreadable." }),
    ),
  },
  closed,
);

const POLICY = Type.Union([
  Type.Literal("pass"),
  Type.Literal("drop-and-report"),
  Type.Literal("hold"),
  Type.Literal("stop"),
]);

const DRIFT = Type.Object(
  {
    newField: Type.Optional({
      ...POLICY,
      description:
        "A field that the copy did not have: written, left out, its documents held in the dead letters, or the route stops. Default: pass.",
    }),
    typeChange: Type.Optional({ ...POLICY, description: "A known field with another type. Default: pass." }),
    depth: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 50,
        description: "Levels of nesting that the ledger looks at; 0 keeps no ledger. Default: 8.",
      }),
    ),
  },
  closed,
);

const CONFLICT = Type.Union([Type.Literal("mirror"), Type.Literal("merge"), Type.Literal("keep-target")]);

/** What to do with documents that services of the target write as well. */
export type ConflictPolicy = Static<typeof CONFLICT>;

const ROUTE = Type.Object(
  {
    name: Type.Optional(
      Type.String({
        pattern: "^[^/\\s]+$",
        description:
          "How records, status and commands call the route. Default: its `from`, and `from>to` where they differ.",
      }),
    ),
    from: Type.String({
      pattern: NAMESPACE,
      description: "Source namespace, `db.collection`, not `system.*`: the topic of the same name.",
    }),
    to: Type.Optional({ ...DESTINATION, description: "Where to. Default: the same namespace of the MongoDB target." }),
    fields: Type.Optional(FIELDS),
    where: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description:
          "Row filter in MongoDB's query language: $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists, $not, $and, $or, $nor.",
      }),
    ),
    drift: Type.Optional({ ...DRIFT, description: "What to do with new fields and types." }),
    conflict: Type.Optional({
      ...CONFLICT,
      description:
        "Which side wins if services also write to the target: the source's whole documents (mirror), the source's fields, other fields stay (merge), or documents that the target changed (keep-target). Default: mirror for a target that is empty at the start; one that is not is refused until a policy is named.",
    }),
  },
  closed,
);

const DDL = Type.Object(
  {
    drop: Type.Optional(
      Type.Union([Type.Literal("apply"), Type.Literal("hold")], {
        description:
          "A collection that the source drops: drop it on the target as well, or halt the route until the drop is approved with `ferry structure approve`. Default: apply.",
      }),
    ),
  },
  closed,
);

/** What to do with changes of the source's structure. */
export type DdlRules = Required<Static<typeof DDL>>;

const DEFAULT_DDL: DdlRules = { drop: "apply" };

/** `ferry.yaml`. One schema gives the type, the check, the published JSON Schema and the docs. */
export const CONFIG = Type.Object(
  {
    routes: Type.Optional(
      Type.Array(ROUTE, {
        minItems: 1,
        description: "What is written where. Without routes every topic goes to the namespace of its name.",
      }),
    ),
    ddl: Type.Optional({ ...DDL, description: "What to do with changes of the source's structure." }),
  },
  { ...closed, $id: "ferry.yaml", title: "ferry.yaml" },
);

type RouteConfig = Static<typeof ROUTE>;

/** What to do with new fields and types. */
export type DriftPolicy = Required<Static<typeof DRIFT>>;

const DEFAULT_DRIFT: DriftPolicy = { newField: "pass", typeChange: "pass", depth: 8 };

/** One stream from a source namespace into a target namespace, with lanes, books and dead letters of its own. */
export type Route = Readonly<
  Omit<RouteConfig, "name" | "to" | "drift"> & { name: string; to: Destination; drift: DriftPolicy }
>;

const invalid = (file: string, sentence: string): FerryError => new FerryError("FERRY_CONFIG", `${file}: ${sentence}`);

const named = (route: RouteConfig): Route => {
  const to = destinationOf(route.to, route.from);
  const name = route.name ?? nameOf(route.from, to);
  return { ...route, to, name, drift: { ...DEFAULT_DRIFT, ...route.drift } };
};

/** How a route is called that has no name of its own. */
export const nameOf = (from: string, to: Destination): string => {
  const text = destinationText(to);
  return text === from ? from : `${from}>${text}`;
};

const twice = (values: readonly string[]): string | undefined => values.find((value, i) => values.indexOf(value) !== i);

/** What `ferry.yaml` says; without routes every topic goes to the namespace of its name. */
export type Config = Readonly<{ routes: readonly Route[] | undefined; ddl: DdlRules }>;

/** The text of a configuration file. @throws FERRY_CONFIG, one sentence that names the place */
export const parseConfig = (text: string, file: string): Config => {
  const document = parseDocument(text, { prettyErrors: true });
  // A warning is a tag that the reader does not know: it would use another value than the intended one.
  const [flaw] = [...document.errors, ...document.warnings];
  if (flaw !== undefined)
    throw invalid(file, `not valid YAML: ${flaw.message.split("\n")[0]?.replace(/:$/, "") ?? ""}`);
  const given: unknown = document.toJS();
  if (!Value.Check(CONFIG, given))
    throw invalid(file, complaint(CONFIG, [...Value.Errors(CONFIG, given)] as unknown as ConfigFinding[], "the file"));
  const ddl = { ...DEFAULT_DDL, ...given.ddl };
  if (given.routes === undefined) return { routes: undefined, ddl };
  const routes = given.routes.map(named);
  for (const { name, from, to } of routes) {
    const glob = [from, destinationText(to)].find((namespace) => /[*?]/.test(namespace));
    if (glob !== undefined)
      throw invalid(file, `route ${name}: ${glob} is not one namespace; a route has no globs, so write one for each`);
  }
  const name = twice(routes.map((route) => route.name));
  if (name !== undefined) throw invalid(file, `two routes are called ${name}; give one of them another name`);
  const to = twice(routes.map((route) => destinationText(route.to)));
  if (to !== undefined) throw invalid(file, `two routes write to ${to}; one namespace has one route`);
  const blind = routes.find(({ conflict = "mirror", drift }) => conflict !== "mirror" && drift.depth === 0);
  if (blind !== undefined)
    throw invalid(
      file,
      `route ${blind.name}: ${blind.conflict} needs the drift ledger, which drift.depth: 0 leaves out`,
    );
  return { routes, ddl };
};

/** The file in the working directory that is taken without being asked for. */
const DEFAULT_FILE = "ferry.yaml";

/** The file given, else `ferry.yaml` here; the defaults where there is none. @throws FERRY_CONFIG */
export const readConfig = (file: string | undefined): Config => {
  const path = file ?? DEFAULT_FILE;
  if (file === undefined && !existsSync(path)) return { routes: undefined, ddl: DEFAULT_DDL };
  return parseConfig(
    readTextFile(path, (reason) => invalid(path, reason)),
    path,
  );
};

/** Without a configuration: a topic goes to the namespace of its name, untouched. */
export const plainRoute = (topic: string): Route => ({
  name: topic,
  from: topic,
  to: { mongodb: topic },
  drift: DEFAULT_DRIFT,
});
