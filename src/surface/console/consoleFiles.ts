import { readFileSync } from "node:fs";

/** A file of the console, as it is sent. */
export type ConsoleFile = Readonly<{ path: string; type: string; body: Buffer }>;

const file = (path: string, name: string, type: string): ConsoleFile => ({
  path,
  type,
  body: readFileSync(new URL(name, import.meta.url)),
});

/** The page that shows the overview, in files of its own: its policy allows nothing inline, and nothing from elsewhere. */
export const readConsole = (): readonly ConsoleFile[] => [
  file("/", "page.html", "text/html; charset=utf-8"),
  file("/console/page.css", "page.css", "text/css; charset=utf-8"),
  file("/console/page.js", "page.js", "text/javascript; charset=utf-8"),
];

/** What the page may do: its own files, its own API, and forms that go nowhere. */
export const CONSOLE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
