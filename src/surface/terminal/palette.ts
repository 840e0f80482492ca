/** What a part of a line means to who looks at it. */
export type Tone = "plain" | "strong" | "quiet" | "good" | "warn" | "bad";

/** A text as it is shown for its tone. */
export type Palette = (text: string, tone: Tone) => string;

const ESC = "\u001b";

const CODES: Readonly<Record<Tone, string>> = { plain: "", strong: "1", quiet: "2", good: "32", warn: "33", bad: "31" };

/** No colours, no bold letters. */
export const PLAIN: Palette = (text) => text;

export const COLOURED: Palette = (text, tone) =>
  text === "" || tone === "plain" ? text : `${ESC}[${CODES[tone]}m${text}${ESC}[0m`;

/** The environment variables that say what the terminal can do. */
export type TerminalEnv = Readonly<Record<string, string | undefined>>;

/** `NO_COLOR` (no-color.org), `FORCE_COLOR` as Node takes it, and a terminal that has none. */
export const wantsColours = (env: TerminalEnv, isTerminal: boolean): boolean => {
  const { NO_COLOR, FORCE_COLOR, TERM } = env as Readonly<Record<"NO_COLOR" | "FORCE_COLOR" | "TERM", string>>;
  if (FORCE_COLOR !== undefined) return FORCE_COLOR !== "0" && FORCE_COLOR !== "false";
  if (NO_COLOR !== undefined && NO_COLOR !== "") return false;
  return isTerminal && TERM !== "dumb";
};

export const paletteFor = (env: TerminalEnv, isTerminal: boolean): Palette =>
  wantsColours(env, isTerminal) ? COLOURED : PLAIN;
