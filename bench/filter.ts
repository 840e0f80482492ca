import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MongoClient } from "mongodb";
import type { Bench } from "./lib/bench.ts";
import { runWorkers } from "./lib/contestants.ts";
import { median, type Row, report, round } from "./lib/report.ts";
import { versionsOf } from "./lib/stack.ts";
import { DB, makeTopics, PARTITIONS, sizesOf, type Topic } from "./lib/topics.ts";

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

/** `npm run bench -- filter [--rounds 3] [--scale 1] [--only NAME,NAME]`: what rules and the drift ledger cost, against the same topic without them. */
export const benchFilter = async (bench: Bench): Promise<void> => {
  const sizes = sizesOf(bench);
  const only = bench.flags["only"]?.split(",");
  const forms = FORMS.filter(({ name }) => only === undefined || only.some((part) => name.includes(part)));
  const folder = mkdtempSync(join(tmpdir(), "ferry-bench-config-"));
  await using stack = await bench.stack();
  await makeTopics(stack, ["copy", "nested"], sizes);
  const target = await MongoClient.connect(stack.target.uri);
  const rates = new Map<string, number[]>();
  for (let n = 1; n <= bench.rounds; n++) {
    for (const [i, { name, topic, rules }] of forms.entries()) {
      const config = join(folder, `${i}.yaml`);
      writeFileSync(config, `routes:\n  - { from: ${DB}.${topic}, ${rules} }\n`);
      const { perSecond } = await runWorkers({ stack, target, sizes }, topic, 1, ["--config", config]);
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
  const rows: Row[] = forms.map(({ name, topic }) => ({
    route: name,
    "records/s": Math.round(rate(name)),
    "of unfiltered": round(rate(name) / plain(topic)),
  }));
  const ratios = forms.flatMap(({ name, topic, ratio }) =>
    ratio === undefined ? [] : [[ratio, round(rate(name) / plain(topic))] as const],
  );
  const result = {
    name: "filter",
    rows,
    versions: { ...versions, records: `${sizes.copy} flat, ${sizes.nested} nested`, partitions: String(PARTITIONS) },
    ratios: Object.fromEntries(ratios),
  };
  report(result, bench.full && only === undefined); // a part of the forms is for looking, too
};
