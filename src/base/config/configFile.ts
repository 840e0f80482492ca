import { type Static, Type } from "typebox";
import { Value } from "typebox/value";
import { parseDocument } from "yaml";
import { FerryError } from "#base/errors/ferryError.ts";
import { COGNITO } from "./cognitoDestination.ts";
import { type ConfigFinding, complaint } from "./complaint.ts";
import { destinationOf, destinationText } from "./destination.ts";
import { type Config, DEFAULT_DRIFT, nameOf, type Route } from "./routes.ts";

/**
 * The configuration file: its schema and its check. A command loads this file only where there is a configuration to read: the two
 * libraries take half of the time in which a command starts.
 */
const closed = { additionalProperties: false } as const;

/** What the server keeps for itself (`system.*`, three databases) is never carried. */
const NAMESPACE = '^(?!(?:admin|config|local)\\.)[^.$/\\\\ "]+\\.(?!system\\.)[^$]+$';

const NAMED = Type.String({
  pattern: NAMESPACE,
  description: "Target namespace, `db.collection`: none of the server's own (`system.*`, admin, config, local).",
});

/** The kinds of targets: one key says which kind it is. A sink that is added has its key here. */
export const KINDS = Type.Union([Type.Object({ mongodb: NAMED }, closed), Type.Object({ cognito: COGNITO }, closed)]);

/** As the configuration spells it: a namespace alone is a collection of the MongoDB target. */
export const DESTINATION = Type.Union([NAMED, ...KINDS.anyOf]);

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

export const DRIFT = Type.Object(
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

export const CONFLICT = Type.Union([Type.Literal("mirror"), Type.Literal("merge"), Type.Literal("keep-target")]);

export const ROUTE = Type.Object(
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
      description:
        "Source namespace, `db.collection`, the topic of the same name: none of the server's own (`system.*`, admin, config, local).",
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

export const DDL = Type.Object(
  {
    drop: Type.Optional(
      Type.Union([Type.Literal("apply"), Type.Literal("hold")], {
        description:
          "A collection that the source drops: drop it on the target as well, or halt the route until the drop is approved with `ferry structure approve`. Default: apply; a target that cannot drop a collection without what comes after it halts the route.",
      }),
    ),
  },
  closed,
);

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

const invalid = (file: string, sentence: string): FerryError => new FerryError("FERRY_CONFIG", `${file}: ${sentence}`);

const named = (route: Static<typeof ROUTE>): Route => {
  const to = destinationOf(route.to, route.from);
  const name = route.name ?? nameOf(route.from, to);
  return { ...route, to, name, drift: { ...DEFAULT_DRIFT, ...route.drift } };
};

const twice = (values: readonly string[]): string | undefined => values.find((value, i) => values.indexOf(value) !== i);

/** @throws FERRY_CONFIG where its aliases would make it larger than any configuration is */
const plainOf = (document: ReturnType<typeof parseDocument>, file: string): unknown => {
  try {
    return document.toJS();
  } catch (error) {
    throw invalid(file, error instanceof Error ? error.message : String(error));
  }
};

/** The text of a configuration file. @throws FERRY_CONFIG, one sentence that names the place */
export const parseConfig = (text: string, file: string): Config => {
  const document = parseDocument(text, { prettyErrors: true });
  // A warning is a tag that the reader does not know: it would use another value than the intended one.
  const [flaw] = [...document.errors, ...document.warnings];
  if (flaw !== undefined)
    throw invalid(file, `not valid YAML: ${flaw.message.split("\n")[0]?.replace(/:$/, "") ?? ""}`);
  const given = plainOf(document, file);
  if (!Value.Check(CONFIG, given))
    throw invalid(file, complaint(CONFIG, [...Value.Errors(CONFIG, given)] as unknown as ConfigFinding[], "the file"));
  const ddl = given.ddl ?? {};
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
