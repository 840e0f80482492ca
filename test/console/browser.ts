import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import type { Report } from "#tools/stack/artefacts.ts";
import { aptInstall, attempt, must, Unavailable } from "../containers/command.ts";

/** Names under which systems have Chromium. */
const NAMES = ["chromium", "chromium-browser", "google-chrome"] as const;
/** Names the browser for the tests. */
export const BROWSER_ENV = "FERRY_TEST_BROWSER";

const VERSION_MS = 30_000;

const found = async (): Promise<string | undefined> => {
  for (const name of [process.env[BROWSER_ENV] ?? "", ...NAMES])
    if (name !== "" && (await attempt(name, ["--version"], { timeoutMs: VERSION_MS })).code === 0) return name;
  return undefined;
};

/** Debian's package; fonts, since without any a page has no text. */
const PACKAGES = ["chromium", "fonts-dejavu-core"];

/** Finds a browser, or has Debian's installed. @throws Unavailable */
export const ensureBrowser = async (mayInstall: boolean, report: Report): Promise<string> => {
  const known = await found();
  if (known !== undefined) return known;
  const remedy = `install Chromium, or let ${BROWSER_ENV} name one`;
  if (!mayInstall || process.getuid?.() !== 0) throw new Unavailable(`there is no Chromium: ${remedy}`);
  await aptInstall(PACKAGES, report);
  const installed = await found();
  if (installed === undefined) throw new Unavailable(`Chromium does not run here: ${remedy}`);
  return installed;
};

/** Full path of a program: the browser is started without a shell. */
const pathOf = (name: string): Promise<string> => must("/bin/sh", ["-c", 'command -v "$0"', name]);

export const startBrowser = async (): Promise<Browser & AsyncDisposable> => {
  const executablePath = await pathOf(process.env[BROWSER_ENV] ?? "chromium");
  // Root has no sandbox; a container's /dev/shm is small.
  const args = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"];
  return chromium.launch({ executablePath, args });
};

export type Look = Readonly<{ width: number; height?: number; scheme?: "light" | "dark"; scale?: number }>;

/** A tab that is signed in, and what its console complained about. */
export type Tab = AsyncDisposable & Readonly<{ page: Page; context: BrowserContext; complaints: readonly string[] }>;

/** A refused request is a part of some tests; the browser tells of each. */
const IS_REQUEST = /^Failed to load resource/;

export const openTab = async (
  browser: Browser,
  { url, token }: Readonly<{ url: string; token: string | undefined }>,
  { width, height = 900, scheme = "light", scale = 1 }: Look,
): Promise<Tab> => {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: scheme,
    reducedMotion: "reduce",
    deviceScaleFactor: scale,
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" && !IS_REQUEST.test(message.text())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  if (token !== undefined)
    await page.addInitScript((kept) => {
      if (sessionStorage.getItem("ferry-token") === null) sessionStorage.setItem("ferry-token", kept);
    }, token);
  await page.goto(url);
  return { page, context, complaints, [Symbol.asyncDispose]: () => context.close() };
};

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

type Found = Readonly<{
  violations: readonly Readonly<{
    id: string;
    nodes: readonly Readonly<{ html: string; failureSummary?: string }>[];
  }>[];
}>;

/** What axe-core finds wrong on the page, a line each. */
export const axeFinds = async (page: Page): Promise<readonly string[]> => {
  await page.evaluate(AXE); // by the browser's own protocol: the page's policy takes no script from elsewhere
  const { violations } = (await page.evaluate("axe.run()")) as Found;
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary ?? ""}`),
  );
};
