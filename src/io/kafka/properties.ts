/** What a character behind a backslash stands for; any other stands for itself. */
const ESCAPED: Readonly<Record<string, string>> = { t: "\t", n: "\n", r: "\r", f: "\f" };

const unescaped = (text: string): string =>
  text.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/gs, (_, code: string | undefined, char: string) =>
    code === undefined ? (ESCAPED[char] ?? char) : String.fromCharCode(Number.parseInt(code, 16)),
  );

/** A line that ends with an odd number of backslashes continues with the next one, without that one's blanks. */
const logicalLines = (text: string): readonly string[] => {
  const lines: string[] = [];
  let open: string | undefined;
  for (const line of text.split(/\r\n|\n|\r/)) {
    const whole: string = open === undefined ? line.trimStart() : open + line.trimStart();
    const isContinued = /(?:^|[^\\])(?:\\\\)*\\$/.test(whole) && !(open === undefined && /^[#!]/.test(whole));
    open = isContinued ? whole.slice(0, -1) : undefined;
    if (!isContinued) lines.push(whole);
  }
  return open === undefined ? lines : [...lines, open];
};

/**
 * The text of a Java properties file. The last value of a key counts.
 * Source: java.util.Properties, `load(Reader)`: comments, separators, continued lines, escapes.
 */
export const parseProperties = (text: string): ReadonlyMap<string, string> => {
  const found = new Map<string, string>();
  for (const line of logicalLines(text)) {
    if (line === "" || /^[#!]/.test(line)) continue;
    const [, key = "", value = ""] = /^((?:\\.|[^\\=:\s])*)(?:\s*[=:]\s*|\s+|$)(.*)$/s.exec(line) ?? [];
    found.set(unescaped(key), unescaped(value));
  }
  return found;
};
