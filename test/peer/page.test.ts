import { statSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Status } from "../../src/admin/core/status.js";
import { type Browser, type OpenOptions, type OpenPage, startBrowser } from "../support/browser.js";
import { contrastOf, contrasts } from "../support/contrast.js";
import { type PageServer, startPageServer } from "../support/page-server.js";
import { requirePeer } from "../support/require-peer.js";
import {
  busyStatus,
  emptyStatus,
  failedLookUp,
  healthyStatus,
  hostileStatus,
  largeLinkedStatus,
  largeStatus,
  linkedStatus,
  localNode,
  lookUp,
  NOW,
  troubledStatus,
  worstStatus,
} from "../support/status.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

/** Chromium has to start, and shares the machine with other tests. */
const TIMEOUT = 60_000;
const PHONE = 390;

requirePeer("chromium")("the status page in a browser", () => {
  let browser: Browser;
  let server: PageServer;
  let folder: string;
  const opened: OpenPage[] = [];

  beforeAll(async () => {
    browser = await startBrowser();
    server = await startPageServer(busyStatus(), NOW);
    folder = await temporaryFolder("page");
  }, TIMEOUT);
  afterEach(async () => {
    await Promise.all(opened.splice(0).map(({ close }) => close()));
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  async function open(status: Status, options: OpenOptions = {}): Promise<OpenPage> {
    server.show(status, NOW);
    const page = await browser.open(server.url, options);
    opened.push(page);
    return page;
  }

  /** With the event stream open, and what happened until then shown. */
  async function openLive(status: Status, options: OpenOptions = {}): Promise<OpenPage> {
    const before = server.pages();
    const opening = await open(status, options);
    await isLive(opening.page);
    await waitFor(() => server.pages() >= before + 2, { what: "the first update" });
    return opening;
  }

  const word = (page: Page) => page.locator("#live-word").textContent();
  const isLive = (page: Page) => waitFor(async () => (await word(page)) === "live", { what: "the stream to be there" });
  const rows = (page: Page, section: string) => page.locator(`#${section} tbody tr`);
  const hasRows = (page: Page, section: string, count: number) =>
    waitFor(async () => (await rows(page, section).count()) === count, { what: `${count} rows of ${section}` });

  const CASES: readonly (readonly [name: string, status: () => Status, options: OpenOptions])[] = [
    ["healthy", healthyStatus, {}],
    ["healthy-dark", healthyStatus, { dark: true }],
    ["healthy-phone", healthyStatus, { width: PHONE }],
    ["healthy-phone-dark", healthyStatus, { width: PHONE, dark: true }],
    ["worst", worstStatus, {}],
    ["worst-dark", worstStatus, { dark: true }],
    ["worst-phone", worstStatus, { width: PHONE }],
    ["worst-phone-dark", worstStatus, { width: PHONE, dark: true }],
    ["silent", troubledStatus, {}],
    ["silent-dark", troubledStatus, { dark: true }],
    ["silent-phone", troubledStatus, { width: PHONE }],
    ["silent-phone-dark", troubledStatus, { width: PHONE, dark: true }],
    ["busy", busyStatus, {}],
    ["busy-phone", busyStatus, { width: PHONE }],
    ["empty", emptyStatus, {}],
    ["empty-phone", emptyStatus, { width: PHONE }],
    ["linked", linkedStatus, {}],
    ["linked-dark", linkedStatus, { dark: true }],
    ["linked-phone", linkedStatus, { width: PHONE }],
    ["linked-phone-dark", linkedStatus, { width: PHONE, dark: true }],
    ["large-linked", largeLinkedStatus, {}],
    ["large-linked-phone", largeLinkedStatus, { width: PHONE, dark: true }],
    ["large", largeStatus, {}],
    ["large-phone", largeStatus, { width: PHONE }],
    ["tablet", largeStatus, { width: 800, dark: true }],
    ["hostile", hostileStatus, { dark: true }],
    ["hostile-phone", hostileStatus, { width: PHONE }],
    ["without-javascript", busyStatus, { javaScript: false }],
  ];

  test.each(CASES)(
    "%s: no complaint, nothing wider than the window, text that can be read",
    async (name, status, options) => {
      const { page, problems } = await open(status(), options);
      if (options.javaScript !== false) await isLive(page);
      const file = join(folder, `${name}.png`);
      // On a busy machine Chromium refuses now and then ("Unable to capture screenshot").
      await waitFor(async () => Boolean(await page.screenshot({ path: file, fullPage: true })), {
        what: "a screenshot",
      });
      expect(statSync(file).size).toBeGreaterThan(10_000);
      expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
      const texts = await contrasts(page);
      expect(texts.length).toBeGreaterThan(20);
      // WCAG AA
      expect(texts.filter(({ ratio }) => ratio < 4.5)).toEqual([]);
      expect(problems()).toEqual([]);
    },
    TIMEOUT,
  );

  test("light and dark are two sets of colours", async () => {
    const colours = async (dark: boolean) => {
      const { page } = await open(busyStatus(), { dark });
      return page.evaluate("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]");
    };
    const [light, dark] = [(await colours(false)) as string[], (await colours(true)) as string[]];
    expect(light[0]).not.toBe(dark[0]);
    expect(light[1]).not.toBe(dark[1]);
  });

  test("without JavaScript everything is there, and that it stays as it is", async () => {
    const { page } = await open(busyStatus(), { javaScript: false });
    expect(await rows(page, "nodes").count()).toBe(5);
    expect(await rows(page, "look-ups").count()).toBe(17);
    expect(await page.locator("#problems li").count()).toBe(5);
    expect(await page.locator("#cluster .machine").count()).toBe(5);
    expect(await page.locator("noscript").isVisible()).toBe(true);
    expect(await word(page)).toBe("as loaded");
  });

  test("with JavaScript there is no word of reloading", async () => {
    const { page } = await open(busyStatus());
    expect(await page.locator("noscript").isVisible()).toBe(false);
  });

  test("an event shows what is new, at once and with its time", async () => {
    const { page, problems } = await openLive(emptyStatus());
    server.show(emptyStatus({ nodes: [localNode()] }), NOW + 5_000);
    server.send("node", { change: "registered", name: "node_a", port: 43_183 });
    await hasRows(page, "nodes", 1);
    expect(await page.locator("#as-of").textContent()).toBe("14:03:27 UTC");
    server.show(emptyStatus({ nodes: [localNode()], lookUps: [lookUp()] }), NOW);
    server.send("look-up", lookUp());
    await hasRows(page, "look-ups", 1);
    server.show(troubledStatus(), NOW);
    server.send("status");
    await page.getByText("The Consul agent at http://127.0.0.1:8500 does not answer: connect ECONNREFUSED").waitFor();
    expect(await page.locator("#readiness").textContent()).toMatch(/^not ready, \d problems$/);
    expect(await page.title()).toBe("not ready: srv-epmd at box1");
    expect(problems()).toEqual([]);
  });

  test.each([
    ["light", false],
    ["dark", true],
  ])("what is new can be read while it is marked (%s)", async (_, dark) => {
    const { page } = await openLive(emptyStatus({ nodes: [localNode()], lookUps: [lookUp()] }), { dark });
    // Marks last for two seconds: they must be there when the colours are read.
    await page.evaluate(`(() => {
      const animate = Element.prototype.animate;
      Element.prototype.animate = function (...how) {
        const animation = animate.apply(this, how);
        animation.pause();
        return animation;
      };
    })()`);
    server.show(busyStatus(), NOW);
    server.send("status");
    await hasRows(page, "look-ups", 17);
    expect(await page.evaluate("document.getAnimations().length")).toBeGreaterThan(5);
    expect((await contrasts(page, "marked")).filter(({ ratio }) => ratio < 4.5)).toEqual([]);
  });

  test("many events are few requests", async () => {
    const { page } = await openLive(emptyStatus());
    const before = server.pages();
    const start = performance.now();
    for (let sent = 0; sent < 50; sent++) {
      server.send("look-up", lookUp());
      await page.waitForTimeout(20);
    }
    await page.waitForTimeout(600);
    const made = server.pages() - before;
    expect(made).toBeGreaterThanOrEqual(1);
    // Two a second, and one that was due.
    expect(made).toBeLessThanOrEqual(Math.ceil((performance.now() - start) / 500) + 1);
  });

  test("a stream that is lost is told of, and comes back by itself", async () => {
    const { page } = await openLive(emptyStatus());
    server.stream("refused");
    await waitFor(async () => (await word(page))?.startsWith("connection lost"), { what: "the loss to be shown" });
    expect(await page.locator("#live").getAttribute("class")).toBe("lost");
    // What is shown is old: nothing of it is green.
    const filter = () => page.evaluate(`getComputedStyle(document.querySelector("main")).filter`);
    expect(await filter()).toBe("grayscale(1)");
    // What happened meanwhile is shown when it is back.
    server.show(emptyStatus({ nodes: [localNode()] }), NOW);
    server.stream("served");
    await isLive(page);
    await hasRows(page, "nodes", 1);
    expect(await filter()).toBe("none");
  });

  test("an update takes away neither focus, selection, place nor what is open", async () => {
    const { nodes } = busyStatus();
    const { lookUps, cluster } = largeStatus();
    const { page, problems } = await openLive(busyStatus({ lookUps, cluster }));
    await page.locator("#cluster summary").first().focus();
    await page.keyboard.press("Enter");
    await page.evaluate(`{
      document.querySelector("#cluster .box").scrollTop = 300;
      scrollTo(0, 300);
      getSelection().selectAllChildren(document.querySelector("#cluster tbody tr:nth-child(2) code"));
    }`);
    const added = failedLookUp("not-found", "no SRV record", { at: NOW, node: "new@svc.service.consul" });
    // Parts go and another one changes: all below them move.
    server.show(busyStatus({ left: [], nodes: nodes.slice(0, 1), cluster, lookUps: [added, ...lookUps] }), NOW);
    server.send("look-up", added);
    await rows(page, "look-ups").getByText("new@svc.service.consul").waitFor({ state: "attached" });
    expect(await rows(page, "left").count()).toBe(0);
    expect(await rows(page, "nodes").count()).toBe(1);
    expect(
      await page.evaluate(`[
        document.activeElement.tagName,
        document.querySelector("#cluster details").open,
        document.querySelector("#cluster .box").scrollTop >= 300,
        scrollY > 0,
        getSelection().toString(),
      ]`),
    ).toEqual(["SUMMARY", true, true, true, "worker_1@svc.service.consul"]);
    // And the keyboard goes on from there.
    await page.keyboard.press("Enter");
    expect(await page.evaluate(`document.querySelector("#cluster details").open`)).toBe(false);
    expect(problems()).toEqual([]);
  });

  test("the box of look-ups is as high as its table, and a long list of nodes scrolls in its own", async () => {
    const { page } = await open(largeStatus());
    const scrolls = (section: string) =>
      page.evaluate(`{ const box = document.querySelector("#${section} .box"); box.scrollHeight > box.clientHeight; }`);
    expect(await scrolls("look-ups")).toBe(false);
    expect(await scrolls("cluster")).toBe(true);
  });

  test.each([
    ["silent", troubledStatus()],
    ["silent, and the publication has not noticed", troubledStatus({ readiness: busyStatus().readiness })],
  ])("what Consul has is never green while it is %s", async (_, status) => {
    const green = `Array.from(document.querySelectorAll("#nodes .pill, #cluster .pill, #overview .pill, #readiness .pill"))
      .filter((pill) => getComputedStyle(pill).color === getComputedStyle(document.querySelector("#probe")).color)
      .map((pill) => pill.textContent)`;
    const { page } = await openLive(busyStatus());
    await page.evaluate(`document.body.insertAdjacentHTML("beforeend", '<p id="probe" class="pill good">green</p>')`);
    expect(await page.evaluate(green)).toContain("in Consul");
    server.show({ ...status, relays: undefined }, NOW);
    server.send("status");
    await page.locator("#cluster").getByText("as of 12 s ago").waitFor();
    // The relay process is no part of Consul.
    expect(await page.evaluate(green)).toEqual(status.readiness.ready ? ["relay process answers"] : []);
  });

  describe("the search", () => {
    const found = async (page: Page) =>
      (await rows(page, "look-ups").locator("th").allTextContents()).map((text) => text.trim());

    test("without JavaScript: a form and links, and the page is whole", async () => {
      const { page, problems } = await open(busyStatus(), { javaScript: false });
      await page.getByRole("searchbox", { name: "Search look-ups" }).fill("node_d unavailable");
      await page.keyboard.press("Enter");
      await page.waitForURL(/\?q=node_d\+unavailable#look-ups$/);
      expect(await found(page)).toEqual(["node_d@svc.service.consul"]);
      expect(await page.getByRole("searchbox").inputValue()).toBe("node_d unavailable");
      expect(await rows(page, "nodes").count()).toBe(5);
      await page.getByRole("searchbox").fill("node_d");
      await page.getByRole("button", { name: "Search" }).click();
      await page.getByRole("link", { name: "without an answer" }).click();
      await page.waitForURL(/\?q=node_d&show=failed#look-ups$/);
      expect(await found(page)).toEqual(["node_d@svc.service.consul"]);
      // The kind stays when other words are searched for.
      await page.getByRole("searchbox").fill("node_z");
      await page.keyboard.press("Enter");
      await page.waitForURL(/\?q=node_z&show=failed#look-ups$/);
      expect(await found(page)).toEqual(["node_z@svc.service.consul"]);
      expect(problems()).toEqual([]);
    });

    test("with JavaScript: while it is typed, in the same page, and updates keep it", async () => {
      const { page, problems } = await openLive(busyStatus());
      await page.evaluate("window.before = true");
      const box = page.getByRole("searchbox");
      await box.pressSequentially("node_z");
      await hasRows(page, "look-ups", 1);
      await page.getByRole("link", { name: "found", exact: false }).first().click();
      await page.getByText("No look-up of the last 17 is like that.").waitFor();
      await page.getByRole("link", { name: "all", exact: false }).first().click();
      await hasRows(page, "look-ups", 1);
      expect(await page.evaluate("[location.search, window.before, document.activeElement.name ?? null]")).toEqual([
        "?q=node_z",
        true,
        null,
      ]);
      const { lookUps } = busyStatus();
      server.show(
        busyStatus({ lookUps: [lookUp({ node: "node_z@svc" }), lookUp({ node: "other@svc" }), ...lookUps] }),
        NOW,
      );
      server.send("look-up", lookUp());
      await hasRows(page, "look-ups", 2);
      expect(await box.inputValue()).toBe("node_z");
      await box.fill("");
      await hasRows(page, "look-ups", 19);
      expect(await page.evaluate("location.search")).toBe("");
      expect(problems()).toEqual([]);
    });

    test("a problem leads to its look-ups", async () => {
      const { page, problems } = await openLive(busyStatus());
      await page.locator("#problems li", { hasText: "not found" }).getByRole("link", { name: "Its look-ups" }).click();
      await hasRows(page, "look-ups", 1);
      expect(await page.getByRole("searchbox").inputValue()).toBe("node_z@svc.service.consul");
      await waitFor(async () => (await page.evaluate("scrollY")) !== 0, { what: "the look-ups to be in view" });
      expect(problems()).toEqual([]);
    });
  });

  test(
    "after an update the page is as if it had been loaded anew",
    async () => {
      const body = (page: Page) => page.evaluate(`document.querySelector("main").innerHTML`);
      const { page } = await openLive(busyStatus());
      for (const status of [
        largeStatus(),
        linkedStatus(),
        largeLinkedStatus(),
        troubledStatus(),
        worstStatus(),
        hostileStatus(),
        emptyStatus(),
        busyStatus(),
      ]) {
        const before = server.pages();
        server.show(status, NOW);
        server.send("status");
        const fresh = await open(status, { javaScript: false });
        await waitFor(async () => server.pages() > before + 1 && (await body(page)) === (await body(fresh.page)), {
          what: "the same page",
        });
      }
    },
    TIMEOUT,
  );

  test("another release of the daemon has a page of its own: it is loaded", async () => {
    const { page } = await openLive(emptyStatus());
    await page.evaluate("window.before = true");
    server.show(emptyStatus({ version: "0.2.0" }), NOW);
    server.send("status");
    await waitFor(async () => (await page.evaluate("window.before")) === undefined, { what: "the page to be loaded" });
    await isLive(page);
    expect(await page.locator("h1 small").textContent()).toBe("0.2.0");
  });

  test("hostile names do nothing, when the page is loaded and when it is updated", async () => {
    const { page, problems } = await openLive(hostileStatus());
    server.show(hostileStatus(), NOW + 1_000);
    server.send("status");
    await page.getByText("14:03:23 UTC").waitFor();
    expect(
      await page.evaluate(
        `document.querySelectorAll("main img, main script, #owned, [onerror], [onload], [autofocus]").length`,
      ),
    ).toBe(0);
    expect(await page.title()).toContain("<script>");
    expect(problems()).toEqual([]);
  });

  test("every part can be reached by the keyboard, and is called something", async () => {
    const { page } = await open(busyStatus());
    const reached: string[] = [];
    for (let pressed = 0; pressed < 16; pressed++) {
      await page.keyboard.press("Tab");
      const name = "document.activeElement.ariaLabel ?? document.activeElement.textContent";
      reached.push(((await page.evaluate(name)) as string).trim());
    }
    expect(reached.slice(0, 15)).toEqual([
      ...Array(3).fill("Its look-ups"),
      ...["Nodes alive here", "Published without a VM", "Nodes of the cluster", "Relays"],
      ...["Search look-ups", "Search", "all 17", "without an answer 4", "found 13", "old answers 1", "Recent look-ups"],
      expect.anything(),
    ]);
    await page.getByRole("table", { name: "Nodes alive here" }).getByRole("rowheader", { name: "node_a" }).waitFor();
  });

  test("on a phone a table is still one to a screen reader", async () => {
    const { page } = await open(busyStatus(), { width: PHONE });
    const table = page.getByRole("table", { name: "Nodes alive here" });
    expect(await table.getByRole("row").count()).toBe(6);
    expect(await table.getByRole("cell", { name: "port 43183" }).count()).toBe(1);
  });

  test.each([
    ["on a desk", {}],
    ["on a phone", { width: PHONE }],
    ["without JavaScript", { javaScript: false }],
  ])("the matrix of links is a table to a screen reader, and says in words what is marked (%s)", async (_, options) => {
    const { page } = await open(linkedStatus(), options);
    const table = page.getByRole("table", { name: "Links of the nodes here" });
    expect(await table.getByRole("columnheader", { name: "node_c" }).count()).toBe(1);
    const row = table.getByRole("row").filter({ has: page.getByRole("rowheader", { name: "node_b" }) });
    expect(await row.getByRole("cell", { name: "not linked", exact: true }).count()).toBe(2);
    expect(await row.getByRole("cell", { name: "linked", exact: true }).count()).toBe(5);
    const missing = page.getByRole("list", { name: "Missing links" }).getByRole("listitem");
    expect(await missing.allTextContents()).toEqual([
      "node_b is not linked with node_c, node_g",
      "node_c is not linked with node_e",
    ]);
  });

  test("the mark of a missing link stands out from its ground, and no other has one", async () => {
    for (const dark of [false, true]) {
      const { page } = await open(linkedStatus(), { dark });
      const marks = (await page.evaluate(`Array.from(document.querySelectorAll("td.cell"), (cell) => {
        const { color, backgroundColor } = getComputedStyle(cell.querySelector("i") ?? cell, "::before");
        return [cell.className.split(" ").at(-1), color, backgroundColor];
      })`)) as string[][];
      const ground = (await page.evaluate(
        `getComputedStyle(document.querySelector(".matrix")).backgroundColor`,
      )) as string;
      const own = marks.map(([state, colour = "", under = ""]) => ({ state, colour, under }));
      const states = own.filter(({ under }) => !under.endsWith(", 0)")).map(({ state }) => state);
      expect(new Set(states)).toEqual(new Set(["missing"]));
      expect(states).toHaveLength(5);
      for (const { state, colour, under } of own.filter(({ state }) => state !== "self" && state !== "plain")) {
        expect({ state, ratio: contrastOf(colour, state === "missing" ? under : ground) }).toMatchObject({
          ratio: expect.toSatisfy((ratio: number) => ratio >= 4.5),
        });
      }
    }
  });
});
