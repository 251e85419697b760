// The page as people use it: signing in, the board while something runs, decisions, forms, keys, a phone.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [program, browserPath, work] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const dir = mkdtempSync(join(tmpdir(), "planwright-"));
writeFileSync(join(dir, "planwright.toml"), "[agents.rook]\nmay_apply = \"approved\"\n");
const env = { HOME: dir, PATH: process.env.PATH, TZ: "UTC" };
const run = (args, input = "") =>
  execFileSync(program, args, { cwd: dir, env, input, stdio: ["pipe", "pipe", "ignore"] }).toString();
// Held is 7.
const held = (args, input) => {
  try { run(args, input); } catch (error) { assert.equal(error.status, 7, String(error)); return; }
  assert.fail("it was not held");
};
const TASK = "Book the room for the customer day";
const script = (change) => `plan("BOS Operations").task("${TASK}").update(#{ ${change} });`;

const server = spawn(program, ["serve", "--addr", "127.0.0.1:0"], { cwd: dir, env, stdio: ["ignore", "pipe", "inherit"] });
const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
const url = (await lines.next()).value;
const link = (await lines.next()).value;
const browser = await chromium.launch({
  executablePath: browserPath,
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
let passed = 0;
const step = async (name, body) => {
  await body();
  passed += 1;
  console.log(`ok ${name}`);
};
const watched = (page) => {
  page.on("console", (message) => { if (message.type() === "error" && !/ 40[13] /.test(message.text())) problems.push(message.text()); });
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("dialog", (dialog) => { problems.push("a dialog"); dialog.dismiss(); });
  return page;
};
const problems = [];

try {
  const context = await browser.newContext({ viewport: { width: 1400, height: 850 } });
  const page = watched(await context.newPage());
  const card = page.locator(".card", { hasText: TASK }).first();
  const picture = (name) => page.screenshot({ path: join(work, `${name}.png`) });
  const accessible = async () => {
    // The policy of the page lets no foreign script in: axe comes through the debugger.
    await page.evaluate(axe);
    const found = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa"] }));
    const told = found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).slice(0, 3).join(" | ")}`);
    assert.deepEqual(told, [], page.url());
  };

  await step("the printed link signs in", async () => {
    await page.goto(link);
    await page.getByRole("heading", { name: "BOS Operations", level: 1 }).waitFor();
    await card.waitFor();
    await page.locator("#live-dot.on").waitFor();
    await picture("board");
  });
  await step("the board changes while a script runs", async () => {
    run(["run", "-"], script('progress: "in_progress"'));
    await card.locator('svg[aria-label="In progress"]').waitFor();
  });
  await step("markup in a title is text", async () => {
    run(["run", "-"], 'plan("BOS Operations").bucket("Inbox").create_task(#{ title: "<img src=x onerror=alert(1)><b>bold</b>" });');
    await page.locator(".card", { hasText: "<img src=x onerror=alert(1)>" }).waitFor();
    assert.equal(await page.locator(".card h3 b, .card h3 img").count(), 0);
  });
  await step("what a set that waits would change is on its card, and is approved by keyboard", async () => {
    held(["run", "-", "--as", "rook"], script('progress: "completed"'));
    await card.locator(".proposal", { hasText: "rook would change" }).waitFor();
    await picture("proposal");
    await card.focus();
    await page.keyboard.press("Enter");
    await page.waitForURL(/pending/);
    await accessible();
    await picture("pending");
    const button = page.getByRole("button", { name: /Approve and apply/ });
    for (let n = 0; n < 40 && !(await button.evaluate((one) => one === document.activeElement)); n += 1) {
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press("Enter");
    await page.waitForURL(/runs\//);
    await page.locator("#status", { hasText: "applied" }).waitFor();
    await picture("run");
    await accessible();
  });
  await step("a form previews a skill", async () => {
    await page.goto(`${url}/skills/capture_action_item`);
    await accessible();
    for (const field of await page.locator("form.form input[required]").all()) await field.fill("Order toner");
    await picture("skill");
    await page.getByRole("button", { name: "Preview" }).click();
    await page.waitForURL(/runs\//);
    await page.locator("#status").filter({ hasText: /previewed|held/ }).waitFor();
  });
  await step("keys lead through the pages and over the board", async () => {
    await page.keyboard.press("g");
    await page.keyboard.press("b");
    await page.waitForURL(`${url}/`);
    await page.locator(".card").first().focus();
    const first = await page.evaluate(() => document.activeElement.id);
    await page.keyboard.press("ArrowRight");
    assert.notEqual(await page.evaluate(() => document.activeElement.id), first);
    await page.keyboard.press("/");
    await page.keyboard.type("extinguishers");
    assert.equal(await page.locator(".card[data-text]:not([hidden]):visible").count(), 1);
  });
  await step("every page is accessible, light and dark", async () => {
    for (const scheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      for (const path of ["/", "/pending", "/runs", "/skills", "/schedules", "/inbox", "/agents", "/audit"]) {
        await page.goto(url + path);
        await accessible();
        await picture(`${scheme}${path.replace("/", "-")}`);
      }
    }
  });
  await step("a phone's width is enough", async () => {
    await page.setViewportSize({ width: 375, height: 740 });
    for (const path of ["/", "/pending", "/runs", "/agents", "/audit"]) {
      await page.goto(url + path);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(over <= 0, `${path}: ${over} pixels too wide`);
    }
    await picture("phone");
  });
  await step("a viewer cannot approve", async () => {
    held(["run", "-", "--as", "rook"], script('priority: "urgent"'));
    const { token } = JSON.parse(run(["serve", "token", "create", "--name", "vic", "--role", "viewer", "--json"]));
    const other = watched(await (await browser.newContext()).newPage());
    await other.goto(`${url}/pending`);
    await other.waitForURL(/login/);
    await other.getByLabel("Token").fill(token);
    await other.keyboard.press("Enter");
    await other.waitForURL(`${url}/`);
    await other.goto(`${url}/pending`);
    await other.locator(".set").waitFor();
    assert.equal(await other.getByRole("button", { name: /Approve|Reject/ }).count(), 0);
    const [id] = JSON.parse(run(["pending", "--json"]));
    const refused = await other.request.post(`${url}/pending/${id.id}/approve`, { form: { digest: id.digest } });
    assert.equal(refused.status(), 403);
  });
  await step("nothing broke the policy of the page", async () => assert.deepEqual(problems, []));
} finally {
  await browser.close();
  server.kill("SIGTERM");
  const code = await new Promise((resolve) => server.on("exit", resolve));
  rmSync(dir, { recursive: true, force: true });
  if (code !== 0) { console.error(`the server ended with ${code}`); process.exitCode = 1; }
}
console.log(`${passed} passed, 0 failed`);
