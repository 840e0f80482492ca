import assert from "node:assert/strict";
import { test } from "node:test";
import { poolLines } from "#process/report/pools.ts";

const tally = { route: "pool", pool: "eu-west-1_a", perSecond: 50, changed: 10, unchanged: 0 };
const lane = (route: string, topic: string, lag = 0) => ({ route, topic, lag });
const lanes = [lane("pool", "shop.users", 700), lane("pool", "shop.users", 300), lane("shop.orders", "shop.orders", 9)];

const leftMs = (...given: Parameters<typeof poolLines>): number | null | undefined => poolLines(...given)[0]?.leftMs;

test("how long a pool's quota needs: of a copy for what is left of its own collection, through Kafka for its own lanes", () => {
  const copying = new Map([
    ["shop.users", 5000],
    ["shop.orders", 1_000_000],
  ]);
  assert.equal(leftMs({ tallies: [tally], copying }, { lanes, kafka: false }), 100_000);
  assert.equal(leftMs({ tallies: [tally], copying: undefined }, { lanes, kafka: true }), 20_000);
});

test("where nothing tells how much waits, no time is named", () => {
  assert.equal(leftMs({ tallies: [tally], copying: undefined }, { lanes, kafka: false }), null);
  assert.equal(leftMs({ tallies: [tally], copying: new Map() }, { lanes, kafka: false }), null);
  assert.equal(leftMs({ tallies: [tally], copying: new Map([["shop.users", 1]]) }, { lanes: [], kafka: false }), null);
});
