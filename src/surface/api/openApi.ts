import { type Access, type Operation, rolesOf } from "./contract/operation.ts";
import { OPERATIONS } from "./contract/operations.ts";
import { PROBLEM } from "./contract/shapes.ts";

/** Where the API begins. */
export const API = "/api/v1";
/** Of the contract: raised when something is added, the path when something is taken away. */
const VERSION_OF_CONTRACT = "1.0";

const SCHEME = "token";

const parametersOf = ({ params, query }: Operation): object[] =>
  (
    [
      ["path", params],
      ["query", query],
    ] as const
  ).flatMap(([place, schema]) => {
    const required: readonly string[] = schema?.required ?? [];
    return Object.entries(schema?.properties ?? {}).map(([name, property]) => ({
      name,
      in: place,
      required: required.includes(name),
      schema: property,
    }));
  });

const json = (schema: object): object => ({ content: { "application/json": { schema } } });

const doneText = ({ isStream, status }: Operation): string => {
  if (isStream === true) return "Server-sent events; the data of each is as this schema says.";
  return status === 202 ? "Begun, or done: `job.endedAt` tells." : "Done.";
};

const answersOf = (operation: Operation): object => {
  const { answer, isStream } = operation;
  const content = isStream === true ? { content: { "text/event-stream": { schema: answer } } } : json(answer);
  return {
    [operation.status ?? 200]: { description: doneText(operation), ...content },
    default: { description: "Not done.", ...json({ $ref: "#/components/schemas/Problem" }) },
  };
};

const whoMay = (access: Access): string =>
  access === "anyone" ? "Needs no token." : `For tokens with role ${rolesOf(access).join(", ")}.`;

const described = (name: string, operation: Operation): object => ({
  operationId: name,
  summary: operation.summary,
  description: whoMay(operation.access),
  security: operation.access === "anyone" ? [] : [{ [SCHEME]: [] }],
  parameters: parametersOf(operation),
  ...(operation.body === undefined ? {} : { requestBody: { required: true, ...json(operation.body) } }),
  responses: answersOf(operation),
});

/** The contract as OpenAPI 3.1: docs/openapi.json, and what the API itself answers with. */
export const openApi = (): object => {
  const paths: Record<string, Record<string, object>> = {};
  for (const [name, operation] of Object.entries<Operation>(OPERATIONS)) {
    const path = API + operation.path;
    paths[path] = { ...paths[path], [operation.method.toLowerCase()]: described(name, operation) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "ferry control",
      version: VERSION_OF_CONTRACT,
      description: "State and steering of a migration (docs/58-control.md). `ferry token create` makes tokens.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    paths,
    components: {
      schemas: { Problem: PROBLEM },
      securitySchemes: { [SCHEME]: { type: "http", scheme: "bearer" } },
    },
  };
};
