import assert from "node:assert/strict";
import { test } from "node:test";
import { type Canvas, Painter } from "#surface/live/painter.ts";
import { stay, writeLines } from "#surface/terminal/bottom.ts";
import { Screen } from "../../../harness/screen.ts";

/** A painter with what it has written so far. */
const painting = (lines: () => readonly string[], more: Partial<Canvas> = {}) => {
  let written = "";
  const canvas: Canvas = {
    isBusy: () => false,
    write: (text) => {
      written += text;
    },
    size: () => ({ columns: 40, rows: 10 }),
    isAway: () => false,
    ...more,
  };
  const painter = new Painter(canvas, lines);
  const taken = (): string => {
    const text = written;
    written = "";
    return text;
  };
  return { painter, taken };
};

test("what is drawn stays below what is written meanwhile, and is removed without a trace", async () => {
  let lines = ["copy 1 %", "target"];
  const { painter, taken } = painting(() => lines);
  using screen = new Screen(40, 10);
  await screen.write("$ ferry run\n");
  painter.paint();
  await screen.write(taken());
  assert.deepEqual(screen.lines, ["$ ferry run", "copy 1 %", "target"]);
  {
    using _staying = stay(painter);
    writeLines(process.stderr, "a warning that is wider than the terminal, and so takes two of its rows\n");
  }
  lines = ["copy 2 %"];
  painter.paint();
  await screen.write(taken());
  const said = ["a warning that is wider than the termina", "l, and so takes two of its rows"];
  assert.deepEqual(screen.lines, ["$ ferry run", ...said, "copy 2 %"]);
  painter.erase();
  await screen.write(taken());
  assert.deepEqual([screen.lines, screen.cursor], [["$ ferry run", ...said], { x: 0, y: 3 }]);
});

test("more lines than the terminal has rows are cut off: what has left the screen cannot be drawn over", async () => {
  let n = 0;
  const { painter, taken } = painting(() => Array.from({ length: 30 }, (_, i) => `line ${i} of picture ${n}`));
  using screen = new Screen(40, 10);
  for (n = 0; n < 3; n++) painter.paint();
  await screen.write(taken());
  assert.deepEqual(
    screen.lines,
    Array.from({ length: 8 }, (_, i) => `line ${i} of picture 2`),
  );
});

test("a terminal that became narrower has wrapped what was drawn: all of its rows are drawn over", async () => {
  let columns = 40;
  const { painter, taken } = painting(() => ["x".repeat(columns), "short"], { size: () => ({ columns, rows: 10 }) });
  using screen = new Screen(40, 10);
  await screen.write("$ ferry run\n");
  painter.paint();
  await screen.write(taken());
  columns = 25;
  screen.resize(25, 10);
  painter.paint();
  await screen.write(taken());
  assert.deepEqual(screen.lines, ["$ ferry run", "x".repeat(25), "short"]);
});

test("nothing is drawn while the terminal is busy, another's, or left to a question", () => {
  let [isBusy, isAway] = [true, false];
  const { painter, taken } = painting(() => ["copy"], {
    isBusy: () => isBusy,
    isAway: () => isAway,
  });
  painter.paint();
  assert.equal(taken(), "");
  [isBusy, isAway] = [false, true];
  painter.paint();
  assert.equal(taken(), "");
  isAway = false;
  painter.paint();
  assert.match(taken(), /copy/);
  const left = painter.leave();
  assert.doesNotMatch(taken(), /copy/);
  painter.paint();
  assert.equal(taken(), "");
  left[Symbol.dispose]();
  painter.paint();
  assert.match(taken(), /copy/);
});
