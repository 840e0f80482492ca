import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Drawing, LINES, leftText, short } from "#surface/live/bar.ts";
import { fact } from "#surface/live/facts.ts";
import { insertAbove, redraw } from "#surface/live/frame.ts";
import { type Picture, pictureLine, pictureLines } from "#surface/live/picture.ts";
import { cellsOf } from "#surface/terminal/cells.ts";
import { COLOURED, PLAIN } from "#surface/terminal/palette.ts";
import { Screen } from "../../../harness/screen.ts";

const COPY: Picture["phases"][number] = {
  ...{ name: "copy", done: 1_861_230, total: 3_000_000, noun: "documents", perSecond: 112_340, etaMs: 10_137 },
  ...{ isOver: false, note: "37 of 60 ranges" },
};

const RUN: Picture = {
  title: "ferry run",
  facts: [fact("copy", "good"), fact("16.0 s", "quiet")],
  phases: [COPY, { ...COPY, name: "stream", total: undefined, etaMs: undefined, note: undefined, noun: "changes" }],
  parts: [
    {
      name: "target",
      facts: [fact("0.3 s behind", "good"), fact("1,861,230 events settled"), fact("3 dead letters", "bad")],
    },
  ],
  needs: ["decide on the dead letters: `ferry dlq list`"],
  columns: [
    {
      title: "Lanes",
      rows: [
        ["route", "lag", "owner"],
        ["test.users [0]/0", "1,234", "host-1"],
        ["日本.人 [1]/0", "7", "host-2"],
      ],
    },
  ],
};

const screenOf = async (picture: Picture, columns: number, palette = COLOURED): Promise<Screen> => {
  const screen = new Screen(columns);
  await screen.write(redraw([], pictureLines(picture, { columns, palette, glyphs: LINES }), columns));
  return screen;
};

test("a picture has what there is room for: at 40, 80, 100 and 200 columns", async () => {
  const shown = async (columns: number): Promise<readonly string[]> => {
    using screen = await screenOf(RUN, columns);
    assert.equal(screen.wrapped, 0);
    return screen.lines;
  };
  const lanes = [
    "",
    "Lanes",
    "route               lag  owner",
    "test.users [0]/0  1,234  host-1",
    "日本.人 [1]/0         7  host-2",
  ];
  const wide = [
    "stream   1,861,230 changes  112,340/s",
    "target   0.3 s behind · 1,861,230 events settled · 3 dead letters",
    "needs    decide on the dead letters: `ferry dlq list`",
    ...lanes,
  ];
  assert.deepEqual(await shown(40), [
    "ferry run  copy · 16.0 s",
    "copy     ━━━━╸───   62 %  10 s left",
    "stream   1,861,230 changes  112,340/s",
    "target   0.3 s behind · 3 dead letters",
    "needs    decide on the dead letters: `f…",
    ...lanes,
  ]);
  assert.deepEqual(await shown(80), [
    "ferry run  copy · 16.0 s",
    "copy     ━━━━━━━━━╸──────   62 %  1,861,230 of 3,000,000  112,340/s  10 s left",
    ...wide,
  ]);
  assert.deepEqual(await shown(100), [
    "ferry run  copy · 16.0 s",
    "copy     ━━━━━━━━━━━━╸───────   62 %  1,861,230 of 3,000,000  112,340/s  10 s left  37 of 60 ranges",
    ...wide,
  ]);
  assert.deepEqual(await shown(200), [
    "ferry run  copy · 16.0 s",
    "copy     ━━━━━━━━━━━━━━━━━━━╸────────────   62 %  1,861,230 of 3,000,000 documents  112,340/s  10 s left  37 of 60 ranges",
    ...wide,
  ]);
});

test("the same in one line, for a terminal on which nothing can be drawn", () => {
  assert.equal(
    pictureLine(RUN),
    "ferry run; copy; 16.0 s; copy 62 % 1,861,230 of 3,000,000 documents 112,340/s 10 s left 37 of 60 ranges; " +
      "stream 1,861,230 changes 112,340/s; decide on the dead letters: `ferry dlq list`",
  );
});

test("numbers for little room, and times that are guesses", () => {
  assert.deepEqual([7, 9999, 12_340, 999_999, 1_861_230, 45e6, 3e9].map(short), [
    "7",
    "9,999",
    "12 k",
    "999 k",
    "1.9 M",
    "45 M",
    "3.0 G",
  ]);
  assert.deepEqual([0, 10_137, 59_700, 3_661_000, 1e12].map(leftText), [
    "1 s left",
    "10 s left",
    "1 min 0 s left",
    "1 h 1 min left",
    "days left",
  ]);
});

const anyText = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc.constantFrom("日本語", "\u001b[2J", "a\r\nb", "e\u0301", "🚢", "\u1dc0"),
);
const anyFacts = fc.array(fc.record({ text: anyText, tone: fc.constantFrom("plain", "bad") }), { maxLength: 5 });
const anyNumber = fc.option(fc.double({ min: 0, max: 1e13, noNaN: true }), { nil: undefined });
const anyPhase = fc.record({
  ...{ name: fc.constantFrom("copy", "catch up"), done: fc.nat(), total: anyNumber, noun: fc.constant("documents") },
  ...{ perSecond: anyNumber, etaMs: anyNumber, isOver: fc.boolean(), note: fc.option(anyText, { nil: undefined }) },
});
const anyPicture = fc.record({
  ...{ title: fc.constant("ferry run"), facts: anyFacts, phases: fc.array(anyPhase, { maxLength: 3 }) },
  parts: fc.array(fc.record({ name: anyText, facts: anyFacts }), { maxLength: 2 }),
  needs: fc.array(anyText, { maxLength: 2 }),
  columns: fc.array(
    fc.record({ title: anyText, rows: fc.array(fc.array(anyText, { maxLength: 4 }), { maxLength: 3 }) }),
    {
      maxLength: 2,
    },
  ),
}) as fc.Arbitrary<Picture>;

test("whatever is to be seen, no line is wider than the terminal, and the cursor comes back to where it was", async () => {
  await fc.assert(
    fc.asyncProperty(anyPicture, anyPicture, fc.integer({ min: 20, max: 200 }), async (one, two, columns) => {
      const look: Drawing = { columns, palette: PLAIN, glyphs: LINES };
      const [first, second] = [pictureLines(one, look), pictureLines(two, look)];
      for (const line of [...first, ...second]) assert.ok(cellsOf(line) <= columns, JSON.stringify(line));
      using screen = new Screen(columns, 60);
      await screen.write("$ ferry run\n");
      await screen.write(redraw([], first, columns));
      await screen.write(insertAbove(first, "a line of the log\n", columns));
      await screen.write(redraw(first, second, columns));
      assert.deepEqual(screen.cursor, { x: 0, y: 2 + second.length });
      assert.deepEqual(screen.lines.slice(0, 2), ["$ ferry run", "a line of the log"]);
      assert.equal(screen.wrapped, 0);
      await screen.write(redraw(second, [], columns));
      assert.deepEqual([screen.cursor, screen.lines.length], [{ x: 0, y: 2 }, 2]);
    }),
    { numRuns: 60 },
  );
});
