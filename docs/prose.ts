/**
 * How the pages read: Markdown at one width, and words that an ordinary English-speaking engineer does not stumble over. The
 * words count in comments, titles of tests and changelog fragments as well. `npm run check` holds both, `npm run fix` wraps.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

export const WIDTH = 120;

/** Words, and what to write instead. */
const BANNED: readonly (readonly [word: RegExp, instead: string])[] = [
  [/\banew\b/i, "again, from the beginning"],
  [/\b(somebody|whoever|nobody)\b/i, "name who: a user, a service, no process"],
  [/\b(?:is|are)\s+(?:said|told)\s+(?:to\s+be|of)\b/i, "say it in the active voice"],
  [/\bmend(s|ed|ing)?\b/i, "fix"],
  [/\b(becomes?|became)\s+of\b/i, "what happens to, what to do with, the outcome of"],
  [/\b(?:go(?:es|ing|ne)?|went)\s+on\s+with\b/i, "continue, resume"],
  [/\bg(?:ives?|iven|iving)\s+back\b/i, "release, restore"],
  [/\bh(?:eld|olds?)\s+back\b/i, "deferred, withheld"],
  [/\beveryday\s+life\b/i, "common, expected"],
  [/\bwithout\s+a\s+word\b/i, "silently"],
  [/\bt(?:akes?|ook)\s+(?:it\s+)?upon\b/i, "accept"],
  [/\blook(?:s|ed|ing)?\s+after\b/i, "check, watch, manage"],
];

/** Text that has width and meaning of its own: code spans and links. */
const ATOM = /`[^`\n]+`|!?\[[^\]\n]*\]\([^)\n]*\)/g;

/** Starts a list, a heading, a quote or a table, if it comes first in a line. */
const MARKUP = /^([-+*#>|=]+|\d+[.)])$/;

const SPACE = "\u0000";

/** The words that a line may be broken between. */
const wordsOf = (text: string): readonly string[] => {
  const words: string[] = [];
  const atoms = text.replace(ATOM, (atom) => (atom.length <= WIDTH / 2 ? atom.replaceAll(" ", SPACE) : atom));
  for (const word of atoms.split(/\s+/).filter((one) => one !== "")) {
    if (MARKUP.test(word) && words.length > 0) words.push(`${words.pop()}${SPACE}${word}`);
    else words.push(word);
  }
  return words.map((word) => word.replaceAll(SPACE, " "));
};

const filled = (text: string, first: string, rest: string): readonly string[] => {
  const lines: string[] = [];
  let line = first;
  let isEmpty = true;
  for (const word of wordsOf(text)) {
    if (!isEmpty && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      [line, isEmpty] = [rest, true];
    }
    line += isEmpty ? word : ` ${word}`;
    isEmpty = false;
  }
  return [...lines, line];
};

/** Starts a block of its own: heading, table, quote, comment, rule, or a line that begins one of these. */
const STANDS_ALONE = /^\s*(#|\||>|<!--|<|---|===)/;
const ITEM = /^(\s*)([-*+]|\d+\.)(\s+)/;

/** Markdown with its paragraphs and list items filled to `WIDTH`; code, tables and headings stay as they are. */
export const wrapped = (markdown: string): string => {
  const out: string[] = [];
  let block: string[] = [];
  const flush = (): void => {
    const [head = ""] = block;
    const mark = ITEM.exec(head);
    const indent = /^\s*/.exec(head)?.[0] ?? "";
    const rest = mark === null ? indent : " ".repeat(mark[0].length);
    const text = block.join("\n").slice(mark === null ? indent.length : mark[0].length);
    if (block.length > 0) out.push(...filled(text, mark === null ? indent : mark[0], rest));
    block = [];
  };
  let inCode = false;
  for (const line of markdown.split("\n")) {
    const isFence = /^\s*```/.test(line);
    if (isFence || inCode || line.trim() === "" || STANDS_ALONE.test(line)) {
      flush();
      out.push(line);
      inCode = isFence ? !inCode : inCode;
      continue;
    }
    if (ITEM.test(line)) flush();
    block.push(line);
    if (/ {2}$/.test(line)) {
      flush();
      out.push(`${out.pop()}  `); // a break that is meant
    }
  }
  flush();
  return out.join("\n");
};

/** The prose of a page: no code blocks, no code spans, no targets of links. */
const proseOf = (markdown: string): string =>
  markdown
    .replace(/^\s*```[\s\S]*?^\s*```/gm, "")
    .replace(/`[^`\n]+`/g, "")
    .replace(/\]\([^)\n]*\)/g, "]");

/** Banned words in a text, each with a better one. */
export const bannedIn = (text: string): readonly string[] => {
  const prose = proseOf(text);
  return BANNED.flatMap(([word, instead]) => {
    const found = word.exec(prose)?.[0];
    return found === undefined ? [] : [`"${found.replaceAll(/\s+/g, " ")}": ${instead}`];
  });
};

/** The comments of a source file, and the titles of its tests. Strings stay out: a host may be called `nobody.invalid`. */
export const commentsIn = (source: string): string => {
  const lines = source.split("\n").map((line) => /^\s*(?:\/\*\*?|\*\/?|\/\/)(.*)|\s\/\/\s(.*)/.exec(line));
  const comments = lines.map((found) => found?.[1] ?? found?.[2] ?? "");
  const titles = [...source.matchAll(/\btest\(\s*"([^"\n]*)"/g)].map(([, title = ""]) => title);
  return [...comments, ...titles].join("\n");
};

const filesBelow = (folders: readonly string[], name: RegExp): readonly string[] =>
  folders
    .filter((folder) => existsSync(join(ROOT, folder))) // after a release there are no fragments
    .flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
        .filter((file) => name.test(file))
        .map((file) => join(ROOT, folder, file)),
    );

const pages = (): readonly string[] => [
  ...["README.md", "CONTRIBUTING.md", "SECURITY.md"].map((name) => join(ROOT, name)),
  ...filesBelow(["docs"], /\.md$/),
];

/** Words of these count, their width does not. */
const others = (): readonly (readonly [file: string, prose: string])[] => [
  ...filesBelow(["src", "test", "bench", "bin", "deploy", "docs"], /\.(ts|mjs)$/).map(
    (file) => [file, commentsIn(readFileSync(file, "utf8"))] as const,
  ),
  ...filesBelow(["changelog.d"], /\.md$/).map((file) => [file, readFileSync(file, "utf8")] as const),
];

/** What is wrong with the pages and the comments, one sentence each. */
export const proseComplaints = (): readonly string[] => [
  ...others().flatMap(([file, prose]) => bannedIn(prose).map((banned) => `${relative(ROOT, file)}: ${banned}`)),
  ...pages().flatMap((page) => {
    const text = readFileSync(page, "utf8");
    const name = relative(ROOT, page);
    return [
      ...(wrapped(text) === text ? [] : [`${name}: is not wrapped at ${WIDTH}; npm run fix`]),
      ...bannedIn(text).map((banned) => `${name}: ${banned}`),
    ];
  }),
];

/** Wraps all pages. */
export const wrapPages = (): void => {
  for (const page of pages()) {
    const text = readFileSync(page, "utf8");
    if (wrapped(text) !== text) writeFileSync(page, wrapped(text));
  }
};
