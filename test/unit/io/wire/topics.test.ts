import assert from "node:assert/strict";
import { test } from "node:test";
import { topicMatcher } from "#io/wire/topics.ts";

test("the default takes topics that are named like a namespace, and never Kafka's or Connect's own", () => {
  const matches = topicMatcher("*.*");
  for (const topic of ["test.users", "a.b.c", "shop.order-items"]) assert.ok(matches(topic), topic);
  for (const topic of [
    "users",
    "__consumer_offsets",
    "__mongodb_heartbeats",
    "docker-connect-configs",
    "docker-connect-status",
    "connect-offsets",
  ])
    assert.ok(!matches(topic), topic);
});

test("names are literal, globs are globs, several are an either-or", () => {
  const matches = topicMatcher(" test.users , shop.*, log.202? ");
  for (const topic of ["test.users", "shop.orders", "log.2026"]) assert.ok(matches(topic), topic);
  // The first dot divides database and collection, as everywhere.
  assert.deepEqual(["old.users", "o.ld.users"].map(topicMatcher("o*.users")), [true, false]);
  for (const topic of ["testXusers", "test.users2", "xshop.orders", "log.20266", "log.202"])
    assert.ok(!matches(topic), topic);
});

test("buckets are meant by the name of their time series, or by their own", () => {
  const topic = "shop.system.buckets.weather";
  for (const patterns of ["shop.weather", "shop.we*", topic, "*.*"]) assert.ok(topicMatcher(patterns)(topic), patterns);
  assert.ok(!topicMatcher("shop.tides")(topic));
});

test("characters of regular expressions mean themselves", () => {
  assert.ok(topicMatcher("a+b.(c)[d]$^|{2}")("a+b.(c)[d]$^|{2}"));
  assert.ok(!topicMatcher("a+.b")("aa.b"));
});

test("an empty pattern takes nothing", () => {
  assert.ok(!topicMatcher(" , ")("test.users"));
});
