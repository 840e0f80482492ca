import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isTopicName, namespaceFor, topicAmong, topicFor } from "#io/kafka/topicName.ts";

const db = fc
  .string({ unit: "binary", minLength: 1, maxLength: 20 })
  .filter((name) => !/[./\\" $\0]/.test(name) && Buffer.from(name).toString() === name);
const coll = fc
  .string({ unit: "binary", minLength: 1, maxLength: 80 })
  .filter((name) => !name.startsWith(".") && !name.includes("\0") && Buffer.from(name).toString() === name);

test("every namespace has a topic of its own, which Kafka takes, and leads back", () => {
  const seen = new Map<string, string>();
  fc.assert(
    fc.property(fc.oneof(db, fc.constant("db")), fc.oneof(coll, fc.stringMatching(/^[a-z_.0-9]{1,4}$/)), (d, c) => {
      fc.pre(!c.startsWith("."));
      const ns = `${d}.${c}`;
      const topic = topicFor(ns);
      assert.ok(isTopicName(topic), topic);
      assert.equal(seen.get(topic) ?? ns, ns);
      seen.set(topic, ns);
      assert.ok([ns, undefined].includes(namespaceFor(topic)), `${ns} → ${topic} → ${namespaceFor(topic)}`);
      if (isTopicName(ns)) assert.equal(topic, ns);
    }),
    { numRuns: 5000 },
  );
});

/** What Kafka compares of two names. */
const unify = (topic: string): string => topic.replaceAll(".", "_");

test("names as they are documented", () => {
  assert.equal(topicFor("shop.orders"), "shop.orders");
  assert.equal(topicFor("shop.my orders"), "shop..my_20orders");
  assert.equal(topicFor("w6c.üñï"), "w6c.._c3_bc_c3_b1_c3_af");
  assert.equal(topicFor("shop.a_b c"), "shop..a_5fb_20c");
  assert.equal(namespaceFor("shop..a_5fb_20c"), "shop.a_b c");
  assert.equal(topicAmong("shop.order_items", new Set(["shop.order.items"])), "shop..order_5fitems");
  assert.equal(topicAmong("shop.order.items", new Set(["shop.order_items"])), "shop..order_2eitems");
  assert.match(topicAmong("shop.orders", new Set(["shop_orders"])), /^shop\.\.\.[\w-]{43}$/); // another program's
  const long = `shop.${"x".repeat(250)}`;
  assert.match(topicFor(long), /^shop\.\.\.[\w-]{43}$/);
  assert.equal(namespaceFor(topicFor(long)), undefined);
  assert.equal(namespaceFor("shop..plain"), "shop..plain"); // a plain name is not encoded
});

test("Kafka takes the topics of any namespaces side by side, whichever comes first, and each leads back", () => {
  const alike = fc.stringMatching(/^[ab_. 2e0]{1,6}$/).filter((name) => !name.startsWith("."));
  const namespaces = fc.uniqueArray(
    fc.tuple(fc.stringMatching(/^[ab_2]{1,3}$/), alike).map(([d, c]) => `${d}.${c}`),
    { maxLength: 30 },
  );
  const foreign = fc.uniqueArray(fc.stringMatching(/^[ab_2.]{3,8}$/).filter((name) => !name.includes(".")));
  fc.assert(
    fc.property(namespaces, foreign, (all, others) => {
      const there = new Set(others.filter((a) => !others.some((b) => a !== b && unify(a) === unify(b))));
      const topics = new Map<string, string>();
      for (const ns of all) {
        const topic = topicAmong(ns, there);
        assert.ok(isTopicName(topic), topic);
        const clash = [...there].find((name) => unify(name) === unify(topic));
        assert.equal(clash, undefined, `${ns} → ${topic}`);
        there.add(topic);
        topics.set(ns, topic);
      }
      for (const [ns, topic] of topics) {
        assert.equal(topicAmong(ns, there), topic);
        assert.ok([ns, undefined].includes(namespaceFor(topic)), `${ns} → ${topic} → ${namespaceFor(topic)}`);
      }
    }),
    { numRuns: 3000 },
  );
});
