import type { Page } from "playwright-core";
import { findProgram } from "./environment.js";

/** Debian's Chromium. */
export function findChromium(): string | undefined {
  return findProgram("chromium");
}

/** No sandbox, because tests run as root in places without one; and it speaks to nobody but the test. */
const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export interface OpenOptions {
  readonly dark?: boolean;
  /** Of the window, CSS pixels. */
  readonly width?: number;
  readonly javaScript?: boolean;
}

export interface OpenPage {
  readonly page: Page;
  /**
   * What a page without fault has none of: errors and warnings in the console, breaches of its security policy, requests
   * that failed, and requests to anywhere else.
   */
  readonly problems: () => readonly string[];
  readonly close: () => Promise<void>;
}

export interface Browser {
  /** Opens a page in a window that shares nothing with others. */
  readonly open: (url: string, options?: OpenOptions) => Promise<OpenPage>;
  readonly close: () => Promise<void>;
}

/** A real Chromium without a window. */
export async function startBrowser(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error("chromium is not there: bash test/install-peers.sh");
  // Only here: whoever merely asks whether there is a browser need not load it.
  const { chromium } = await import("playwright-core");
  const browser = await chromium.launch({ executablePath, args: ARGS });
  return {
    open: async (url, { dark = false, width = 1280, javaScript = true } = {}) => {
      const context = await browser.newContext({
        colorScheme: dark ? "dark" : "light",
        javaScriptEnabled: javaScript,
        viewport: { width, height: width < 600 ? 812 : 900 },
        deviceScaleFactor: width < 600 ? 2 : 1,
      });
      const page = await context.newPage();
      const problems = watch(page, new URL(url).origin);
      await page.goto(url, { waitUntil: "load" });
      return { page, problems: () => problems, close: () => context.close() };
    },
    close: () => browser.close(),
  };
}

/** @returns a list that grows with what goes wrong in the page */
function watch(page: Page, origin: string): string[] {
  const problems: string[] = [];
  // The console tells of breaches of the policy too, with and without JavaScript.
  page.on("console", (message) => {
    if (/^(error|warning|assert)$/.test(message.type())) problems.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
  page.on("requestfailed", (request) => {
    problems.push(`failed: ${request.url()}: ${request.failure()?.errorText}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400) problems.push(`answered ${response.status()}: ${response.url()}`);
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith("data:") && new URL(url).origin !== origin) problems.push(`elsewhere: ${url}`);
  });
  return problems;
}
