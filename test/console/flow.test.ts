import assert from "node:assert/strict";
import { test } from "node:test";
import type { Browser } from "playwright-core";
import { ask } from "../harness/control.ts";
import { axeFinds, openTab, startBrowser } from "./browser.ts";
import { openScene, type Scene, until } from "./scene.ts";

const SCREEN = { width: 1200 };

/** By the keyboard alone. */
const signingIn = async (browser: Browser, scene: Scene): Promise<void> => {
  const { url, token = "" } = scene.as("viewer");
  await using tab = await openTab(browser, { url, token: undefined }, SCREEN);
  const { page } = tab;
  await page.getByLabel("Token").fill("ferry_nobody");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").filter({ hasText: "no such token" }).waitFor();
  await page.getByLabel("Token").fill(token);
  await page.keyboard.press("Enter");
  await page.getByRole("status").filter({ hasText: "live" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Pause" }).count(), 0, "a viewer pauses nothing");
  await page.getByRole("link", { name: "Audit" }).press("Enter");
  await page.getByText("shown to tokens with role operator").waitFor();
  await page.getByRole("button", { name: "Sign out" }).press("Enter");
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
};

const watching = async (browser: Browser, scene: Scene): Promise<void> => {
  await using tab = await openTab(browser, scene.as("operator"), SCREEN);
  const { page } = tab;
  const target = page.locator(".path li").filter({ hasText: "Target" });
  await target.waitFor();
  const before = await target.innerText();
  await scene.users.insertMany(Array.from({ length: 3000 }, (_, n) => ({ _id: `more-${n}` as never })));
  await until("the picture to change", async () => (await target.innerText()) !== before);
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: "Resume" }).waitFor({ timeout: 20_000 });
  await page.locator(".path").filter({ hasText: "paused" }).waitFor();
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByRole("button", { name: "Pause" }).waitFor({ timeout: 20_000 });
};

const previewing = async (browser: Browser, scene: Scene): Promise<void> => {
  await using tab = await openTab(browser, scene.as("operator"), SCREEN);
  const { page } = tab;
  await page.getByRole("link", { name: "Routes & filter" }).click();
  await page.getByRole("button", { name: "Preview shop.users" }).click();
  await page.getByLabel("Without these fields").fill("email");
  await page.getByRole("button", { name: "Try these rules" }).click();
  await page.getByText("Fields that stay out").waitFor();
  assert.match(await page.locator(".diff .removed").first().innerText(), /email/);
  assert.deepEqual(await axeFinds(page), []);
};

const replaying = async (browser: Browser, scene: Scene): Promise<void> => {
  const { both, as } = scene;
  await using tab = await openTab(browser, as("operator"), SCREEN);
  const { page } = tab;
  await page
    .getByRole("link", { name: /^Dead letters/ })
    .first()
    .click();
  await page.getByRole("button", { name: "again-0" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("FERRY_").first().waitFor();
  assert.deepEqual(await axeFinds(page), []);
  // What it clashes with goes: now the letter can be applied.
  const there = both.there.db("shop").collection("users");
  await there.updateOne({ _id: "first" as never }, { $unset: { card: "" } });
  await dialog.getByRole("button", { name: "Replay" }).click();
  await page.getByText("Decided on 1 letter.").waitFor();
  await until("the letter to be applied", async () => (await there.findOne({ _id: "again-0" as never })) !== null);
  await page.getByLabel("Choose all").check();
  await page.getByRole("button", { name: /^Discard/ }).click();
  const confirm = page.getByRole("dialog").getByRole("button", { name: "Discard" });
  assert.equal(await confirm.isDisabled(), true, "the word is to be typed");
  await page.getByLabel(/to go on/).fill("discard");
  await confirm.click();
  await page.getByText("There are no dead letters.").waitFor({ timeout: 20_000 });
  const audit = JSON.parse((await ask(as("operator").url, "listAudit", { token: as("operator").token })).text);
  assert.match(JSON.stringify(audit), /letters\.decide/);
};

const deciding = async (browser: Browser, scene: Scene): Promise<void> => {
  await using tab = await openTab(browser, scene.as("operator"), SCREEN);
  const { page } = tab;
  await page.getByRole("link", { name: /^Drift/ }).click();
  await page.getByRole("button", { name: /^Leave out sex/ }).click();
  await page.locator(".timeline li").filter({ hasText: "sex" }).getByText("left out").waitFor();
  await page
    .getByRole("link", { name: /^Verification/ })
    .first()
    .click();
  await page.getByRole("button", { name: /^Show what is wrong/ }).click();
  await page.getByRole("button", { name: "100", exact: true }).click();
  await page.getByRole("dialog").locator(".diff .removed").filter({ hasText: "age" }).waitFor();
};

/** Something is wrong here: a rehearsal tells it, and a switch asks for a word first. */
const rehearsing = async (browser: Browser, scene: Scene): Promise<void> => {
  await using tab = await openTab(browser, scene.as("cutover"), SCREEN);
  const { page } = tab;
  await page.getByRole("link", { name: "Cutover", exact: true }).click();
  await page.getByRole("button", { name: "Rehearse" }).click();
  await page.locator(".note").filter({ hasText: "cutover.rehearse" }).filter({ hasNotText: "under way" }).waitFor();
  await page.getByRole("button", { name: "Switch over…" }).click();
  const dialog = page.getByRole("dialog");
  const confirm = dialog.getByRole("button", { name: "Switch over" });
  assert.equal(await confirm.isDisabled(), true);
  await dialog.getByLabel(/to go on/).fill("ferry_seen");
  assert.equal(await confirm.isDisabled(), false);
  assert.deepEqual(await axeFinds(page), []);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
};

/** Control is killed, and started again at the same address: the page goes on by itself. */
const reconnecting = async (browser: Browser, scene: Scene): Promise<void> => {
  await using tab = await openTab(browser, scene.as("viewer"), SCREEN);
  const { page } = tab;
  const link = page.locator(".link");
  await link.filter({ hasText: "live" }).waitFor();
  await page.getByRole("link", { name: /^Copy/ }).click();
  await page.getByRole("heading", { name: "Copy", exact: true }).waitFor();
  await page.getByRole("link", { name: "Overview" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  scene.control.kill("SIGSTOP");
  await page.getByRole("link", { name: /^Copy/ }).click();
  await page.getByRole("heading", { name: "Copy", exact: true }).waitFor(); // nothing waits for a slow server
  scene.control.kill("SIGCONT");
  scene.control.kill("SIGKILL");
  await link.filter({ hasText: "connection lost" }).waitFor({ timeout: 40_000 });
};

test("a run is watched and steered in a browser", async (t) => {
  await using scene = await openScene();
  await using browser = await startBrowser();
  assert.notEqual(scene.verified.status, 0, "something is wrong on the target");
  await t.test("signing in, by the keyboard; a viewer sees, and changes nothing", () => signingIn(browser, scene));
  await t.test("what is applied is seen; pause and resume", () => watching(browser, scene));
  await t.test("a filter is previewed on real documents", () => previewing(browser, scene));
  await t.test("dead letters are looked at, replayed and discarded", () => replaying(browser, scene));
  await t.test("a field is left out; what is wrong is shown", () => deciding(browser, scene));
  await t.test("a rehearsal, and the word before a switch", () => rehearsing(browser, scene));
  await t.test("a connection that is lost is said, and holds nothing up", () => reconnecting(browser, scene));
});
