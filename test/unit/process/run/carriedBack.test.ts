import assert from "node:assert/strict";
import { test } from "node:test";
import { meantOf, type Sent } from "#process/run/carriedBack.ts";
import type { Behind } from "#source/capture/captureStore.ts";

const sent = (...ids: readonly number[]): Sent => ids.map((_id) => ({ _id })) as unknown as Sent;

const meant = (known: Readonly<{ behind?: Behind; isOver?: true }> | undefined, ...ids: readonly number[]) => {
  const { isOver, ...record } = known ?? {};
  const lifecycle = isOver === true ? { finalizedAt: new Date() } : {};
  const { behind, records, added } = meantOf(sent(...ids), known && { ...record, lifecycle });
  return { behind, records: records.map(({ _id }) => _id), added: added.map(({ _id }) => _id) };
};

test("a way back begins behind all cutovers, and takes in those that follow", () => {
  assert.deepEqual(meant(undefined, 4, 2), { behind: { after: 0, newest: 4 }, records: [4, 2], added: [4, 2] });
  const behind = { after: 0, newest: 2 };
  assert.deepEqual(meant({ behind }, 2), { behind, records: [2], added: [] });
  assert.deepEqual(meant({ behind }, 4, 2), { behind: { after: 0, newest: 4 }, records: [4, 2], added: [4] });
  // Of a version that noted none: all of it is taken in once more.
  assert.deepEqual(meant({}, 4, 2).added, [4, 2]);
});

test("where it has ended, the next cutover begins another one, and nothing before it comes back", () => {
  const behind = { after: 0, newest: 2 };
  assert.deepEqual(meant({ behind, isOver: true }, 2), { behind, records: [2], added: [] });
  const next = meant({ behind, isOver: true }, 4, 2, 1);
  assert.deepEqual(next, { behind: { after: 2, newest: 4 }, records: [4], added: [4] });
  assert.deepEqual(meant({ behind: next.behind }, 5, 4, 2, 1).records, [5, 4]);
});
