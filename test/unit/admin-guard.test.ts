import { describe, expect, test } from "vitest";
import { asksForUnknownPage, type GuardedRequest, refusalOf } from "../../src/admin/core/guard.js";

const HOSTS = ["epmd.internal"];
const request = (over: Partial<GuardedRequest>): GuardedRequest => ({
  method: "GET",
  host: "127.0.0.1:9369",
  fetchSite: undefined,
  origin: undefined,
  userAgent: undefined,
  ...over,
});
const asked = (over: Partial<GuardedRequest> = {}) => refusalOf(request(over), HOSTS);

describe("is answered", () => {
  test.each([
    "127.0.0.1:9369",
    "127.0.0.1",
    "10.1.2.3:24001",
    "localhost",
    "localhost:9369",
    "LocalHost:9369",
    "[::1]:9369",
    "[fd00::7]",
    "epmd.internal:9369",
    "EPMD.internal.",
  ])("the Host %s", (host) => {
    expect(asked({ host })).toBeUndefined();
  });

  test.each([undefined, "same-origin", "none"])("the Sec-Fetch-Site %s", (fetchSite) => {
    expect(asked({ fetchSite })).toBeUndefined();
  });

  test.each([
    ["http://127.0.0.1:9369", "127.0.0.1:9369"],
    ["https://epmd.internal", "EPMD.internal"],
  ])("the Origin %s for %s", (origin, host) => {
    expect(asked({ origin, host })).toBeUndefined();
  });
});

describe("is refused", () => {
  test.each([
    [undefined],
    [""],
    ["rebound.example:9369"],
    ["localhost.example"],
    ["127.0.0.1.example:9369"],
    ["127.0.0.1:9369:1"],
    ["127.1"],
    ["2130706433"],
    ["[::1"],
    ["[not an address]"],
    ["[epmd.internal]"],
    ["a@127.0.0.1"],
    ["127.0.0.1/"],
    ["evil.example:127.0.0.1:9369"],
    ["evil.example[::1]"],
  ])("the Host %s, with what would be right", (host) => {
    expect(asked({ host })).toEqual({
      status: 403,
      code: "HTTP_HOST",
      message: `the Host header says ${JSON.stringify(host ?? "")}: ask by IP address or as localhost, or give the name to srv-epmd with --admin-host`,
    });
  });

  // Another port of this host is "same-site": a page served there is no page of ours.
  test.each(["cross-site", "same-site", "anything"])("the Sec-Fetch-Site %s", (fetchSite) => {
    expect(asked({ fetchSite })).toMatchObject({
      status: 403,
      code: "HTTP_OTHER_SITE",
      message: expect.stringContaining(`"${fetchSite}"`),
    });
  });

  // Browsers say Sec-Fetch-Site only to addresses that they trust: not to http://10.1.2.3, nor to http://0.0.0.0.
  test.each([
    "http://evil.example",
    "http://127.0.0.1:8080",
    "https://127.0.0.1",
    "null",
    "",
    "file://",
    "x-http://127.0.0.1:9369",
  ])("the Origin %s", (origin) => {
    expect(asked({ origin })).toMatchObject({ status: 403, message: expect.stringContaining(`Origin: "${origin}"`) });
  });

  test("an Origin where there is no Host", () => {
    expect(asked({ origin: "http://evil.example", host: undefined })?.status).toBe(403);
    expect(refusalOf(request({ origin: "http://evil.example", host: "epmd.internal" }), HOSTS)?.message).toMatch(
      /Origin/,
    );
  });

  test.each(["POST", "HEAD", "PUT", "DELETE", "OPTIONS"])("the method %s", (method) => {
    expect(asked({ method })).toMatchObject({
      status: 405,
      code: "HTTP_METHOD",
      message: expect.stringContaining(method),
    });
  });
});

describe("for which page it asks", () => {
  const userAgent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36";

  test("a browser says where it trusts the address, and not elsewhere", () => {
    expect(asksForUnknownPage(request({ userAgent, fetchSite: "none" }))).toBe(false);
    expect(asksForUnknownPage(request({ userAgent }))).toBe(true);
  });

  test.each([undefined, "curl/7.88.1", "Go-http-client/1.1", "Prometheus/2.45.0"])(
    "does not matter with %s",
    (other) => {
      expect(asksForUnknownPage(request({ userAgent: other }))).toBe(false);
    },
  );
});
