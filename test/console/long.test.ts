import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { openTab, startBrowser } from "./browser.ts";
import { openScene, until } from "./scene.ts";

const LETTERS = 10_000;
const PARTITIONS = 64;

const letter = (n: number): object => ({
  ...{ id: `shop.users/0/${n}`, route: "shop.users", topic: "shop.users", partition: n % PARTITIONS, offset: n },
  ...{ key: { _id: n }, code: "FERRY_DUPLICATE_KEY", reason: "E11000 duplicate key error", serverCode: 11000 },
  ...{ clash: null, attempts: 3, state: "waiting", rawBytes: 500, storedAt: new Date(1.7e12 + n).toISOString() },
});

const lane = (n: number): object => ({
  ...{ route: "shop.users", topic: "shop.users", partition: n, slice: 0, owner: "worker-1", epoch: 1, offset: n * 100 },
  ...{
    lag: n * 7,
    counts: { received: n, applied: n, superseded: 0, filtered: 0, dead: 0 },
    filteredBy: {},
    imbalance: 0,
  },
});

/** The longest time in which nothing was drawn, ms, while the list is scrolled through. */
const scrolledThrough = async (page: Page): Promise<number> =>
  Number(
    await page.evaluate(`(async () => {
      const list = document.querySelector(".window");
      const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
      let [longest, last] = [0, await frame()];
      for (let step = 1; step <= 60; step++) {
        list.scrollTop = (list.scrollHeight * step) / 60;
        const now = await frame();
        longest = Math.max(longest, now - last);
        last = now;
      }
      return longest;
    })()`),
  );

test("10,000 dead letters and 64 partitions: few rows are there, and scrolling is smooth", async (t) => {
  await using scene = await openScene({ documents: 50 });
  await using browser = await startBrowser();
  await using tab = await openTab(browser, scene.as("operator"), { width: 1200 });
  const { page } = tab;
  const letters = Array.from({ length: LETTERS }, (_, n) => letter(n));
  await page.route("**/api/v1/dead-letters?*", (route) => {
    const limit = Number(new URL(route.request().url()).searchParams.get("limit"));
    return route.fulfill({ json: { letters: letters.slice(0, limit), total: LETTERS } });
  });
  await page.route("**/api/v1/lanes", (route) =>
    route.fulfill({ json: Array.from({ length: PARTITIONS }, (_, n) => lane(n)) }),
  );
  const rows = () => page.locator(".window .rows [role=row]").count();

  await t.test("dead letters", async () => {
    await page
      .getByRole("link", { name: /^Dead letters/ })
      .first()
      .click();
    await page.getByText("10,000 letters").waitFor();
    await scrolledThrough(page); // its end asks for all of them
    await until(
      "the whole list",
      async () => (await page.evaluate("document.querySelector('.window').scrollHeight > 9000 * 48")) === true,
    );
    const longest = await scrolledThrough(page);
    t.diagnostic(`longest frame ${Math.round(longest)} ms`);
    assert.ok(longest < 1000, `${longest} ms without a picture`);
    assert.ok((await rows()) < 80, `${await rows()} rows`);
    await page.getByRole("row", { name: /9,?999/ }).waitFor();
    await page.getByLabel("Choose all").check();
    await page.getByText("10,000 chosen").waitFor();
  });

  await t.test("lanes", async () => {
    await page.getByRole("link", { name: "Lanes & workers" }).click();
    await until("the map", async () => (await page.locator(".lanes-map li").count()) === PARTITIONS);
    assert.ok((await rows()) < 80, `${await rows()} rows`);
  });
});
