import assert from "node:assert/strict";
import { test } from "node:test";
import type { Browser } from "playwright-core";
import { axeFinds, openTab, startBrowser } from "./browser.ts";
import { openScene, type Scene, until } from "./scene.ts";

/** By their places, each with a word that stands there as soon as it is whole. */
const PAGES: readonly (readonly [string, RegExp])[] = [
  ["", /Books/],
  ["copy", /ranges? done/],
  ["lanes", /Workers/],
  ["routes", /shop\.users/],
  ["drift", /appeared/],
  ["conflicts", /source/],
  ["dead-letters", /FERRY_/],
  ["verification", /documents? compared/],
  ["cutover", /Is everything ready/],
  ["audit", /Audit/],
];

const SIZES = [360, 800, 1400] as const;
const SCHEMES = ["light", "dark"] as const;

const looksRight = async (browser: Browser, scene: Scene, width: number, scheme: "light" | "dark"): Promise<void> => {
  await using tab = await openTab(browser, scene.as("operator"), { width, scheme });
  const { page, complaints } = tab;
  for (const [place, word] of PAGES) {
    await page.evaluate(`window.location.hash = "#/${place}"`);
    await page.locator("main").filter({ hasText: word }).waitFor();
    await until("everything to be there", async () => (await page.locator(".waiting").count()) === 0);
    const what = `${place} at ${width} px, ${scheme}`;
    assert.deepEqual(await axeFinds(page), [], what);
    const wide = Number(await page.evaluate("document.documentElement.scrollWidth - window.innerWidth"));
    assert.ok(wide <= 0, `${what}: ${wide} px are beyond the edge`);
  }
  assert.deepEqual(complaints, []);
};

test("axe-core finds nothing on any page, at a phone's, a tablet's and a screen's width, light and dark", async (t) => {
  await using scene = await openScene();
  await using browser = await startBrowser();
  for (const width of SIZES)
    for (const scheme of SCHEMES)
      await t.test(`${width} px, ${scheme}`, () => looksRight(browser, scene, width, scheme));
  await t.test("signing in", async () => {
    await using tab = await openTab(browser, { ...scene.as("viewer"), token: undefined }, { width: 360 });
    await tab.page.getByRole("heading", { name: "Sign in" }).waitFor();
    assert.deepEqual(await axeFinds(tab.page), []);
  });
});
