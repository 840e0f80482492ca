import assert from "node:assert/strict";
import { test } from "node:test";
import { EventText } from "../../../console/src/data/eventText.ts";
import { chosenCount, isChosen, NONE, toggled, toggledAll } from "../../../console/src/text/chosen.ts";
import { bytes, duration, percent, shareOf, short } from "../../../console/src/text/format.ts";
import { jsonDiff } from "../../../console/src/text/jsonDiff.ts";
import { keyText } from "../../../console/src/text/keyText.ts";
import { lagKind, lagShare, partitionsOf } from "../../../console/src/text/lanes.ts";
import { Pace } from "../../../console/src/text/pace.ts";
import { pathsOf, whereOf } from "../../../console/src/text/ruleText.ts";
import { rowsSeen } from "../../../console/src/text/window.ts";

test("numbers and times have two units at most", () => {
  assert.deepEqual([0, 350, 4200, 59_990, 723_000, 3_900_000, 200_000_000].map(duration), [
    "0 ms",
    "350 ms",
    "4.2 s",
    "60.0 s",
    "12 min 3 s",
    "1 h 5 min",
    "2 d 7 h",
  ]);
  assert.deepEqual([0, 999, 1000, 12_345, 999_999, 3_400_000].map(short), [
    "0",
    "999",
    "1 k",
    "12.3 k",
    "1000 k",
    "3.4 M",
  ]);
  assert.deepEqual([0, 1023, 1536, 2 ** 31].map(bytes), ["0 B", "1023 B", "1.5 KiB", "2.0 GiB"]);
});

test("what is not whole is not said to be whole", () => {
  assert.deepEqual([percent(0.9999), percent(1)], ["99 %", "100 %"]);
  assert.deepEqual([shareOf(5, null), shareOf(5, 0), shareOf(12, 10)], [undefined, undefined, 1]);
});

test("two documents beside each other: what is only in one, what has changed, and what is nested", () => {
  const lines = jsonDiff({ _id: 1, a: { x: 1, y: 2 }, gone: true }, { _id: 1, a: { x: 1, y: 3 }, more: { $oid: "5" } });
  assert.deepEqual(
    lines.map(({ kind, text }) => `${kind[0]} ${text}`),
    ["s _id: 1", "s a: {", "s   x: 1", "r   y: 2", "a   y: 3", "s }", "r gone: true", "a more: ObjectId(5)"],
  );
  assert.deepEqual(new Set(jsonDiff({ a: 1 }, null).map(({ kind }) => kind)), new Set(["removed"]));
  assert.deepEqual(
    jsonDiff({ a: 1 }, { a: 1 }).map(({ kind }) => kind),
    ["same"],
  );
});

test("only rows that are seen are there, with some around them, whatever the list's length", () => {
  assert.deepEqual(rowsSeen(10_000, 48, { scrolled: 48_000, height: 480 }), { from: 992, to: 1018 });
  assert.deepEqual(rowsSeen(3, 48, { scrolled: 0, height: 480 }), { from: 0, to: 3 });
  assert.deepEqual(rowsSeen(3, 48, { scrolled: 48_000, height: 480 }), { from: 3, to: 3 }, "a list that has shrunk");
});

test("some are chosen, or all but some", () => {
  const some = toggled(NONE, "a");
  assert.deepEqual([isChosen(some, "a"), isChosen(some, "b"), chosenCount(some, 10)], [true, false, 1]);
  const most = toggled(toggledAll(some), "a");
  assert.deepEqual([isChosen(most, "a"), isChosen(most, "b"), chosenCount(most, 10)], [false, true, 9]);
  assert.equal(chosenCount(toggled(most, "a"), 10), 10);
  assert.deepEqual(toggledAll(toggledAll(NONE)), NONE);
});

test("events arrive in pieces of any length", () => {
  const text =
    'retry: 1000\n\nevent: overview\ndata: {"a":1}\n\n: nothing has changed\n\nevent: overview\ndata: {"a":2}\n\n';
  for (const size of [1, 7, text.length]) {
    const events = new EventText();
    const found = Array.from({ length: Math.ceil(text.length / size) }, (_, n) =>
      events.add(text.slice(n * size, (n + 1) * size)),
    );
    assert.deepEqual(found.flat(), ['{"a":1}', '{"a":2}']);
  }
});

test("a pace is what came since it was first seen, within its reach", () => {
  const pace = new Pace();
  const note = (at: number, n: number) => pace.note(at, new Map([["a", n]]));
  note(0, 0);
  assert.equal(pace.perSecond("a"), undefined);
  note(1000, 500);
  note(1100, 9999); // drawn again, not asked again
  assert.equal(pace.perSecond("a"), 500);
  note(60_000, 500);
  note(61_000, 600);
  assert.equal(pace.perSecond("a"), 100);
  assert.equal(pace.perSecond("b"), undefined);
});

test("partitions show the lane that is the farthest back", () => {
  const lane = (partition: number, lag: number) => ({ route: "r", topic: "t", partition, lag });
  assert.deepEqual(
    partitionsOf([lane(10, 1), lane(2, 5), lane(2, 7)]).map(({ lag }) => lag),
    [7, 1],
  );
  assert.deepEqual([0, 1, 10_000].map(lagKind), ["", "waits", "late"]);
  assert.deepEqual([lagShare(0), lagShare(1e9)], [0, 1]);
});

test("rules as they are typed, and keys as they are read", () => {
  assert.deepEqual(pathsOf(" a.b, c  d,"), ["a.b", "c", "d"]);
  assert.deepEqual([whereOf(" "), whereOf('{"a":1}')], [undefined, { a: 1 }]);
  assert.match(String(whereOf("{a: 1}")), /quotes/);
  assert.match(String(whereOf("[1]")), /not an object/);
  assert.deepEqual(
    [keyText(null), keyText({ _id: "x" }), keyText({ _id: { $oid: "5" } }), keyText(7)],
    [undefined, "x", "ObjectId(5)", "7"],
  );
});
