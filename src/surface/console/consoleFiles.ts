import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { BUILT, ensureBuilt } from "./builtPage.ts";

/** A file of the console, as it is sent. */
export type ConsoleFile = Readonly<{ type: string; cache: string; body: Buffer; gzip: Buffer }>;

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".md": "text/markdown; charset=utf-8",
};

const PAGE = "index.html";

/** All but the page itself have a digest of what is in them in their names. */
const cacheOf = (name: string): string =>
  extname(name) === ".js" || extname(name) === ".css" ? "max-age=31536000, immutable" : "no-cache";

const read = (name: string): readonly [string, ConsoleFile] => {
  const body = readFileSync(join(BUILT, name));
  return [name, { type: TYPES[extname(name)] ?? "", cache: cacheOf(name), body, gzip: gzipSync(body) }];
};

const readAll = async (): Promise<ReadonlyMap<string, ConsoleFile>> => {
  await ensureBuilt();
  return new Map(
    readdirSync(BUILT)
      .filter((name) => extname(name) in TYPES)
      .map(read),
  );
};

let known: Promise<ReadonlyMap<string, ConsoleFile>> | undefined;

/** All files by name. They are read once, when one is first asked for. @throws FERRY_CONSOLE_BUILD, FERRY_TIMEOUT */
export const consoleFiles = (): Promise<ReadonlyMap<string, ConsoleFile>> => {
  known ??= readAll().catch((error: unknown) => {
    known = undefined; // the next one who asks tries again
    throw error;
  });
  return known;
};

/** The file of this name; the page itself where there is no name. Undefined where there is none. @throws as above */
export const consoleFile = async (name: string): Promise<ConsoleFile | undefined> =>
  (await consoleFiles()).get(name === "" ? PAGE : name);

/** What the page may do: its own files, its own API, and forms that go nowhere. */
export const CONSOLE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
