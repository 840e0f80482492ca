/** `npm run screenshots`: pictures of the console for README and docs, of a real run with a load on it. */
import { mkdirSync } from "node:fs";
import { test } from "node:test";
import { openTab, startBrowser } from "./browser.ts";
import { openScene, type Scene } from "./scene.ts";

/** Where they are kept; another place leaves those of the docs as they are. */
const FOLDER = process.env["FERRY_SCREENSHOTS"] ?? "docs/console";

/** Place, file, and width of the tab; some of them dark. */
const SHOTS = [
  { place: "", name: "overview", width: 1400, height: 1000, scheme: "light" },
  { place: "", name: "overview-dark", width: 1400, height: 1000, scheme: "dark" },
  { place: "", name: "overview-phone", width: 390, height: 844, scheme: "light" },
  { place: "copy", name: "copy", width: 1200, height: 640, scheme: "light" },
  { place: "lanes", name: "lanes", width: 1200, height: 900, scheme: "light" },
  { place: "routes", name: "routes", width: 1200, height: 640, scheme: "light" },
  { place: "drift", name: "drift", width: 1200, height: 640, scheme: "light" },
  { place: "conflicts", name: "conflicts", width: 1200, height: 640, scheme: "light" },
  { place: "dead-letters", name: "dead-letters", width: 1200, height: 640, scheme: "light" },
  { place: "verification", name: "verification", width: 1200, height: 900, scheme: "light" },
  { place: "cutover", name: "cutover", width: 1200, height: 900, scheme: "light" },
  { place: "audit", name: "audit", width: 1200, height: 640, scheme: "dark" },
  { place: "dead-letters", name: "dead-letters-phone", width: 390, height: 844, scheme: "dark" },
  { place: "lanes", name: "lanes-phone", width: 390, height: 844, scheme: "light" },
] as const;

/** How long charts are filled before the first picture, ms. */
const FILLING_MS = 25_000;

/** Services that write to the source while the pictures are taken. */
const load = async ({ users }: Scene, signal: AbortSignal): Promise<void> => {
  for (let n = 0; !signal.aborted; n++) {
    const size = 150 + Math.round(100 * Math.sin(n / 6));
    await users.updateMany(
      { _id: { $gte: (n * 7) % 1500, $lt: ((n * 7) % 1500) + size } as never },
      { $inc: { seen: 1 } },
    );
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
};

test("pictures of every page", async () => {
  mkdirSync(FOLDER, { recursive: true });
  await using scene = await openScene({ documents: 20_000, letters: 12 });
  await scene.cli(
    "cutover",
    "--rehearse",
    "--source",
    scene.both.source.uri,
    "--accept",
    "FERRY_RUN_LETTERS,FERRY_VERIFY_WRONG",
  );
  await using browser = await startBrowser();
  const ending = new AbortController();
  const loading = load(scene, ending.signal);
  for (const scheme of ["light", "dark"] as const) {
    await using tab = await openTab(browser, scene.as("operator"), { width: 1400, height: 1000, scheme });
    const { page } = tab;
    await page.waitForTimeout(FILLING_MS);
    for (const { place, name, width, height } of SHOTS.filter((one) => one.scheme === scheme)) {
      await page.setViewportSize({ width, height });
      await page.evaluate(`window.location.hash = "#/${place}"`);
      await page.waitForTimeout(1500);
      await page.screenshot({ path: `${FOLDER}/${name}.png` });
    }
  }
  ending.abort();
  await loading;
});
