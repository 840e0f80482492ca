import assert from "node:assert/strict";
import { test } from "node:test";
import { FerryError } from "#base/errors/ferryError.ts";
import { cellsOf, fit, padded, visible } from "#surface/terminal/cells.ts";
import { COLOURED, PLAIN, wantsColours } from "#surface/terminal/palette.ts";
import { logLine } from "#surface/terminal/textLogger.ts";

const at = new Date(2026, 0, 2, 18, 13, 2);

test("a line of the log for a person: time, how grave, the sentence, and its fields; a remedy below", () => {
  const line = (level: "info" | "warn", fields: Parameters<typeof logLine>[1], sentence: string): string =>
    logLine(level, fields, sentence, { at, palette: PLAIN });
  assert.equal(line("info", { stage: "copy" }, "start position noted"), "18:13:02  start position noted");
  assert.equal(
    line("info", { stage: "structure", ns: "shop.users", ms: 1834 }, "creates index email_1"),
    "18:13:02  creates index email_1 (ns shop.users, 1.8 s)",
  );
  assert.equal(
    line("info", { stage: "copy", count: 500_701, ms: 10_000, worker: "host-1-abcd" }, "copying"),
    "18:13:02  copying (count 500,701, 10.0 s)",
  );
  assert.equal(
    line("info", { route: "a.b", topic: "a.b", count: 1 }, "topic found"),
    "18:13:02  topic found (route a.b, count 1)",
  );
  assert.equal(line("info", { count: 7 }, "7 documents"), "18:13:02  7 documents");
  const err = new FerryError("FERRY_MONGO_UNREACHABLE", "mongodb://user:secret@host/ does not answer");
  assert.equal(
    line("warn", { err }, "waiting for the target"),
    `18:13:02  warning  FERRY_MONGO_UNREACHABLE: waiting for the target: mongodb://host/ does not answer\n          ${err.entry.hint}`,
  );
  assert.equal(line("info", { ns: "a.\u001b[2J" }, "x\ny"), "18:13:02  x y (ns a.\ufffd[2J)");
  assert.equal(
    logLine("warn", {}, "slow", { at, palette: COLOURED }),
    "\u001b[2m18:13:02\u001b[0m  \u001b[33mwarning  slow\u001b[0m",
  );
});

test("colours: where the terminal has them, unless NO_COLOR; FORCE_COLOR decides everywhere", () => {
  assert.equal(wantsColours({ TERM: "xterm" }, true), true);
  assert.equal(wantsColours({ TERM: "dumb" }, true), false);
  assert.equal(wantsColours({ TERM: "xterm" }, false), false);
  assert.equal(wantsColours({ TERM: "xterm", NO_COLOR: "1" }, true), false);
  assert.equal(wantsColours({ TERM: "xterm", NO_COLOR: "" }, true), true);
  assert.equal(wantsColours({ FORCE_COLOR: "1", NO_COLOR: "1" }, false), true);
  assert.equal(wantsColours({ FORCE_COLOR: "0", TERM: "xterm" }, true), false);
});

test("a text's width in cells: wide letters take two, accents none", () => {
  const words = { users: 5, 日本語: 6, "e\u0301a": 2, "🚢": 2, ｶﾅ: 2, Ｆ: 2, "…": 1, "": 0 };
  for (const [word, cells] of Object.entries(words)) assert.equal(cellsOf(word), cells, word);
  assert.deepEqual(
    [fit("日本語", 6), fit("日本語", 5), fit("日本語", 4), fit("abc", 0)],
    ["日本語", "日本…", "日…", ""],
  );
  assert.equal(padded("日", 4), "日  ");
  assert.equal(visible("a\t\n b\u001b]0;x\u0007\u202e"), "a b\ufffd]0;x\ufffd\ufffd");
});
