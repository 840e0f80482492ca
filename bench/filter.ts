import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MongoClient } from "mongodb";
import { runWorkers, type Topic } from "./lib/contestants.ts";
import { median, type Row, report, round } from "./lib/report.ts";
import { startStack, versionsOf } from "./lib/stack.ts";
import { COPIES, DB, makeTopics, PARTITIONS } from "./lib/topics.ts";

/** Each form is compared with the unfiltered one of its topic, in the same round. */
type Form = Readonly<{ name: string; topic: Exclude<Topic, "stream">; ratio: string | undefined; rules: string }>;

const FORMS: readonly Form[] = [
  { name: "unfiltered, no ledger", topic: "copy", ratio: undefined, rules: "drift: { depth: 0 }" },
  {
    name: "allow 3 of 5 fields",
    topic: "copy",
    ratio: "allow",
    rules: "drift: { depth: 0 }, fields: { allow: [firstname, lastname, email] }",
  },
  { name: "drift ledger", topic: "copy", ratio: "drift", rules: "drift: { depth: 8 }" },
  { name: "merge, nobody else writes", topic: "copy", ratio: "merge", rules: "conflict: merge" },
  { name: "nested, unfiltered, no ledger", topic: "nested", ratio: undefined, rules: "drift: { depth: 0 }" },
  {
    name: "nested rules",
    topic: "nested",
    ratio: "nested",
    rules:
      "drift: { depth: 0 }, fields: { deny: [address.geo, orders.note], rename: { address.zip: postcode }, mask: { email: { keepLast: 4 } } }",
  },
  { name: "nested, drift ledger", topic: "nested", ratio: "nestedDrift", rules: "drift: { depth: 8 }" },
];

/** `npm run bench -- filter [--rounds 3]`: what rules and the drift ledger cost, against the same topic without them. */
export const benchFilter = async (flags: Readonly<Record<string, string>>): Promise<void> => {
  const rounds = Number(flags["rounds"] ?? 3);
  const folder = mkdtempSync(join(tmpdir(), "ferry-bench-config-"));
  await using stack = await startStack();
  await makeTopics(stack, ["copy", "nested"]);
  const target = await MongoClient.connect(stack.target.uri);
  const rates = new Map<string, number[]>();
  for (let n = 1; n <= rounds; n++) {
    for (const [i, { name, topic, rules }] of FORMS.entries()) {
      const config = join(folder, `${i}.yaml`);
      writeFileSync(config, `routes:\n  - { from: ${DB}.${topic}, ${rules} }\n`);
      const { perSecond } = await runWorkers(stack, target, topic, 1, ["--config", config]);
      console.log(`round ${n}  ${name.padEnd(30)} ${String(Math.round(perSecond)).padStart(8)}/s`);
      rates.set(name, [...(rates.get(name) ?? []), perSecond]);
    }
  }
  const versions = await versionsOf(stack);
  await target.close();
  rmSync(folder, { recursive: true, force: true });
  const rate = (name: string): number => median(rates.get(name) ?? []);
  const plain = (topic: Topic): number =>
    rate(FORMS.find((form) => form.topic === topic && form.ratio === undefined)?.name ?? "");
  const rows: Row[] = FORMS.map(({ name, topic }) => ({
    route: name,
    "records/s": Math.round(rate(name)),
    "of unfiltered": round(rate(name) / plain(topic)),
  }));
  const ratios = FORMS.flatMap(({ name, topic, ratio }) =>
    ratio === undefined ? [] : [[ratio, round(rate(name) / plain(topic))] as const],
  );
  report({
    name: "filter",
    rows,
    versions: { ...versions, records: `${COPIES.copy} flat, ${COPIES.nested} nested`, partitions: String(PARTITIONS) },
    ratios: Object.fromEntries(ratios),
  });
};
