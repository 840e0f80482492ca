import { LEVELS } from "#base/config/settings.ts";
import { withoutSecrets } from "#base/errors/secrets.ts";
import { count, duration, megabytes } from "#base/flow/figures.ts";
import { createLogger, type LogFields, type Logger, shownFields } from "#base/observe/log.ts";
import { writeLines } from "./bottom.ts";
import { visible } from "./cells.ts";
import { type Palette, paletteFor, type Tone } from "./palette.ts";

type LogLevel = Exclude<(typeof LEVELS)[number], "silent">;

/** How a level is shown; most lines are information, which needs no word. */
const SHOWN: Readonly<Record<LogLevel, readonly [word: string, tone: Tone]>> = {
  debug: ["debug    ", "quiet"],
  info: ["", "plain"],
  warn: ["warning  ", "warn"],
  error: ["error    ", "bad"],
};

/** Of use to a program, or in the sentence already. */
const LEFT_OUT = new Set(["stage", "worker", "epoch", "position", "stream", "run"]);

const besideText = (name: string, value: unknown): string => {
  if (name === "bytes") return megabytes(Number(value));
  return `${name} ${typeof value === "number" ? count(value) : text(value)}`;
};

const text = (value: unknown): string => visible(typeof value === "string" ? value : JSON.stringify(value));

/** `18:13:02  warning  CODE: sentence: err (ns a.b, 18 ms)`, and a remedy below it. */
export const logLine = (
  level: LogLevel,
  fields: LogFields,
  sentence: string,
  { at, palette }: Readonly<{ at: Date; palette: Palette }>,
): string => {
  const { err, code, hint, ms, ...rest } = shownFields(fields);
  const [word, tone] = SHOWN[level];
  const said = [code, visible(withoutSecrets(sentence)), err].flatMap((part) =>
    part === undefined ? [] : [text(part)],
  );
  const beside = [
    ...Object.entries(rest)
      .filter(([name, value]) => !LEFT_OUT.has(name) && !sentence.includes(String(value)))
      .filter(([name, value]) => name !== "topic" || value !== rest.route)
      .map(([name, value]) => besideText(name, value)),
    ...(ms === undefined ? [] : [duration(ms)]),
  ];
  const facts = beside.length === 0 ? "" : palette(` (${beside.join(", ")})`, "quiet");
  const remedy = hint === undefined ? "" : `\n${" ".repeat(10)}${palette(text(hint), "quiet")}`;
  const time = palette(at.toTimeString().slice(0, 8), "quiet");
  return `${time}  ${palette(`${word}${said.join(": ")}`, tone)}${facts}${remedy}`;
};

/** Lines for a person on stderr, in place of lines of JSON. */
const textLogger = (least: string): Logger => {
  const from = (LEVELS as readonly string[]).indexOf(least);
  const palette = paletteFor(process.env, process.stderr.isTTY);
  const say =
    (level: LogLevel) =>
    (fields: LogFields, sentence: string): void => {
      if (LEVELS.indexOf(level) < from) return;
      writeLines(process.stderr, `${logLine(level, fields, sentence, { at: new Date(), palette })}\n`);
    };
  return { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
};

/** @param format of the settings; undefined: as fits what stderr is */
export const openLogger = (level: string, format: string | undefined): Logger =>
  isText(format) ? textLogger(level) : createLogger(level);

/** Is the log for a person to read? */
export const isText = (format: string | undefined): boolean =>
  format === undefined ? process.stderr.isTTY : format === "text";
