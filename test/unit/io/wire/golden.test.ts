import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { formatNamespace } from "#base/flow/types.ts";
import { createDecoder, type Decoded } from "#io/wire/decode.ts";
import { readable } from "#io/wire/readable.ts";

/**
 * Records of the real connector (2.0.1, mongod 6.0.5), one file per output setting, all of the same changes: see
 * golden/record.ts. Every lossless format must give the same events, byte for byte.
 */
type Golden = Readonly<{ topic: string; key: string | null; value: string | null; form: "text" | "hex" }>;

const folder = join(import.meta.dirname, "golden");
const bytesOf = (text: string | null, form: Golden["form"]): Buffer | null =>
  text === null ? null : Buffer.from(text, form === "text" ? "utf8" : "hex");

const decoded = (variant: string): Decoded[] => {
  const decode = createDecoder();
  const golden = JSON.parse(readFileSync(join(folder, `${variant}.json`), "utf8")) as Golden[];
  return golden.map(({ key, value, form }, offset) =>
    decode({ key: bytesOf(key, form), value: bytesOf(value, form), offset, timestampMs: 0 }),
  );
};

/** Everything that an event says, on one line; the copy's time and the events' own bytes differ per connector. */
const line = ({ event, poison, token }: Decoded): string => {
  if (event === undefined) return `poison: ${poison}`;
  const at = event.origin === "copy" ? "" : ` at ${event.at} ${token}`;
  const start = `${event.origin} ${formatNamespace(event.ns)}${at} ${event.op}`;
  switch (event.op) {
    case "write":
      return `${start} ${event.fresh ? "fresh " : ""}${hex(event.key)} ${hex(event.doc)}`;
    case "patch":
      return `${start} ${hex(event.key)} ${hex(event.update)}`;
    case "delete":
      return `${start} ${hex(event.key)}`;
    case "noop":
      return `${start} ${event.reason}`;
    case "ddl":
      return `${start} ${event.kind}`;
  }
};

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
/** Heartbeats are each connector's own. */
const lines = (variant: string): string[] =>
  decoded(variant)
    .map(line)
    .filter((text) => !text.includes("heartbeat"));

const expected = [
  'copy write: {"_id":{"$oid":"64b000000000000000000001"}',
  'copy write: {"_id":2}',
  'stream write: {"_id":3}',
  'stream write: {"_id":2}',
  'stream write: {"_id":2}',
  'stream write: {"_id":3}',
  "stream noop: deleted-since",
  'stream delete: {"_id":3}',
  'stream write: {"_id":{"b":1,"a":{"_data":"82","copyingData":true}}}',
  'stream write: {"_id":{"_data":"8264B0","copyingData":true}}',
  "stream ddl: createIndexes",
  "stream ddl: modify",
  "stream ddl: dropIndexes",
  "stream ddl: drop",
  "stream ddl: create",
  'stream write: {"_id":1}',
  "stream ddl: rename",
  "stream ddl: drop",
  "stream ddl: dropDatabase",
  "stream noop: heartbeat",
];

const short = ({ event, poison }: Decoded): string => {
  if (event === undefined) return poison;
  const what = "key" in event ? readable(event.key) : event.op === "ddl" ? event.kind : event.reason;
  return `${event.origin} ${event.op}: ${what}`;
};

test("the recommended connector's records are the events they stand for", () => {
  const events = decoded("bson").map(short);
  assert.equal(events.length, expected.length);
  for (const [i, text] of events.entries())
    assert.ok(text.startsWith(expected[i] ?? "?"), `${text} instead of ${expected[i]}`);
});

const truth = lines("bson");
for (const variant of [
  "bson-keys",
  "token-keys",
  "canonical",
  "legacy",
  "envelope",
  "quoted",
  "base64",
  "base64-envelope",
]) {
  test(`${variant} carries the same events as BSON, byte for byte`, () => {
    assert.deepEqual(lines(variant), truth);
  });
}

for (const variant of ["schema", "schema-plain"]) {
  test(`${variant} carries the same events, except that an update without document stays a delta`, () => {
    const found = lines(variant);
    assert.equal(found.length, truth.length);
    for (const [i, text] of found.entries()) {
      if (truth[i]?.endsWith("deleted-since")) assert.match(text, / patch /);
      else assert.equal(text, truth[i]);
    }
  });
}

test("updates that are not looked up become patches with the connector's whole description", () => {
  const patches = decoded("legacy-deltas").flatMap(({ event }) =>
    event?.op === "patch" ? [readable(event.update)] : [],
  );
  assert.deepEqual(patches, [
    '{"updatedFields":{"name":"B","o.b":2},"removedFields":["gone"],"truncatedArrays":[]}',
    '{"updatedFields":{},"removedFields":[],"truncatedArrays":[{"field":"list","newSize":2}]}',
    '{"updatedFields":{"y":2},"removedFields":[],"truncatedArrays":[]}',
  ]);
});

test("documents published without their event are refused with the option's name", () => {
  for (const { event, poison } of decoded("full-document-only")) {
    if (event === undefined) assert.match(poison, /publish\.full\.document\.only=false/);
    else assert.equal(event.op, "noop");
  }
});

const keyOf = (event: Decoded["event"]): boolean => event !== undefined && "key" in event;

test("the keys of each format are distinguished", () => {
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".json") && !name.startsWith("full"))) {
    const variant = file.replace(".json", "");
    const wanted = /^(token|schema)/.test(variant) ? "resumeToken" : "documentKey";
    for (const item of decoded(variant)) {
      if (item.event === undefined) assert.fail(item.poison);
      if (keyOf(item.event)) assert.equal(item.keyed, wanted, `${variant}: ${line(item)}`);
      if (item.event.op === "ddl") assert.equal(item.keyed, "resumeToken", `${variant}: ${line(item)}`);
    }
  }
});
