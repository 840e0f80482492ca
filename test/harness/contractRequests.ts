import { request } from "node:http";
import fc from "fast-check";
import type { TSchema } from "typebox";
import type { Operation } from "../../src/surface/api/contract/operation.ts";

/** A request as it goes over the wire: what a well-behaved client would encode may be anything here. */
export type RawRequest = Readonly<{
  method: string;
  path: string;
  headers: Readonly<Record<string, string>>;
  body: string | undefined;
}>;

/** Sends it as it is. @returns status and body */
export const sendRaw = (url: string, { method, path, headers, body }: RawRequest): Promise<readonly [number, string]> =>
  new Promise((resolve, reject) => {
    const { hostname: host, port } = new URL(url);
    const asked = request({ host, port, method, path, headers, timeout: 20_000 }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      answer.once("end", () => resolve([answer.statusCode ?? 0, text]));
      answer.once("error", reject);
    });
    asked.once("error", (error: NodeJS.ErrnoException) => {
      const isCutOff = (body?.length ?? 0) > 1024 * 1024 && ["EPIPE", "ECONNRESET"].includes(error.code ?? "");
      if (isCutOff)
        resolve([413, ""]); // it has answered before it was sent all of it
      else reject(error);
    });
    asked.once("timeout", () => asked.destroy(new Error(`no answer to ${method} ${path.slice(0, 200)}`)));
    asked.end(body);
  });

/** What people type, and what those try who mean harm. */
const HOSTILE_TEXT = fc.oneof(
  fc.constantFrom(
    "",
    "\u0000",
    "$where",
    "__proto__",
    "constructor",
    "../../etc/passwd",
    "%00",
    "'; drop",
    "NaN",
    "null",
  ),
  fc.constantFrom("a/b/c", "s/0/-1", "s/99999999999999999999/0", "a.b.c.$", "\ud800", "(((((", "[a-z", "1e400"),
  fc.constantFrom('{"$oid":"x"}', '{"$numberLong":"9e9"}', '{"$date":{}}', '"\ud800"', '{"a":{"$code":"x"}}', "{}"),
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.integer({ min: 1000, max: 20_000 }).map((length) => "x".repeat(length)),
);

const HOSTILE_VALUE: fc.Arbitrary<unknown> = fc.oneof(
  HOSTILE_TEXT,
  fc.jsonValue({ maxDepth: 4 }),
  fc.constantFrom<unknown>(null, true, -1, 0, 1e308, 2 ** 53, 0.5, [], {}, [[[[[[]]]]]], { $gt: "" }, { __proto__: 1 }),
);

type Parts = Readonly<{
  type?: string;
  enum?: readonly unknown[];
  anyOf?: readonly TSchema[];
  items?: TSchema;
  properties?: Readonly<Record<string, TSchema>>;
  required?: readonly string[];
  minimum?: number;
  maximum?: number;
  minItems?: number;
}>;

/** Values that a schema allows. */
const allowed = (schema: TSchema): fc.Arbitrary<unknown> => {
  const {
    type,
    enum: known,
    anyOf,
    items,
    properties,
    required = [],
    minimum = 0,
    maximum = 1000,
    minItems = 0,
  } = schema as Parts;
  if (known !== undefined) return fc.constantFrom(...known);
  if (anyOf !== undefined) return fc.oneof(...anyOf.map(allowed));
  if (type === "integer" || type === "number") return fc.integer({ min: minimum, max: maximum });
  if (type === "boolean") return fc.boolean();
  if (type === "array")
    return fc.uniqueArray(allowed(items as TSchema), { minLength: minItems, maxLength: 4, comparator: "SameValue" });
  if (type === "object" && properties !== undefined) {
    const fields = Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, allowed(inner)]));
    return fc.record(fields, { requiredKeys: [...required] });
  }
  return fc.oneof(HOSTILE_TEXT, fc.constantFrom("steered.users", "steered.users/0/1", '"k"'));
};

/** Mostly what the schema allows, with something else in some places. */
const nearly = (schema: TSchema): fc.Arbitrary<unknown> => {
  const { properties = {} } = schema as Parts;
  const names = Object.keys(properties);
  const spoilt = fc
    .tuple(allowed(schema), names.length === 0 ? fc.constant("x") : fc.constantFrom(...names), HOSTILE_VALUE)
    .map(([value, name, wrong]) => ({ ...(value as object), [name]: wrong }));
  return fc.oneof(
    { weight: 3, arbitrary: allowed(schema) },
    { weight: 3, arbitrary: spoilt },
    { weight: 1, arbitrary: HOSTILE_VALUE },
  );
};

const encoded = (value: unknown): string => {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return encodeURIComponent(text.toWellFormed()).slice(0, 4000);
};

/** Requests of one operation, from its own schemas. */
export const requestsOf = ({ method, path, params, query, body }: Operation): fc.Arbitrary<RawRequest> =>
  fc
    .record({
      params: params === undefined ? fc.constant({}) : allowed(params),
      query: query === undefined ? fc.constant({}) : nearly(query),
      body: body === undefined ? fc.constant(undefined) : nearly(body),
    })
    .map((made) => {
      const named = made.params as Readonly<Record<string, unknown>>;
      const filled = path.replaceAll(/\{(\w+)\}/g, (_, key: string) => encoded(named[key]));
      const asked = typeof made.query === "object" && made.query !== null ? Object.entries(made.query) : [];
      const search = asked.map(([name, value]) => `${encoded(name)}=${encoded(value)}`).join("&");
      const text = made.body === undefined ? undefined : JSON.stringify(made.body);
      return {
        method,
        path: `/api/v1${filled}${search === "" ? "" : `?${search}`}`,
        headers: text === undefined ? {} : { "content-type": "application/json" },
        body: text,
      };
    });

const json = { "content-type": "application/json" };

/** Requests of no operation at all. */
export const STRAY_REQUESTS: readonly RawRequest[] = [
  ...[
    "/api/v1/%",
    "/api/v1/%ff",
    "/api/v1/conflicts/%E0%A4%A",
    "//",
    "/..%2f..%2fetc/passwd",
    `/${"a".repeat(10_000)}`,
  ].map((path) => ({ method: "GET", path, headers: {}, body: undefined })),
  ...["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"].map((method) => ({
    ...{ method, path: "/api/v1/overview", headers: {}, body: undefined },
  })),
  ...[
    "",
    "{",
    "null",
    "[]",
    '"x"',
    `${"[".repeat(20_000)}${"]".repeat(20_000)}`,
    '{"__proto__":{"a":1}}',
    "x".repeat(2_000_000),
  ].map((body) => ({ method: "POST", path: "/api/v1/drift/decisions", headers: json, body })),
  { method: "POST", path: "/api/v1/drift/decisions", headers: { "content-type": "text/xml" }, body: "<a/>" },
  { method: "POST", path: "/api/v1/run/resume", headers: { "content-type": "application/json;charset=x" }, body: "{}" },
];
