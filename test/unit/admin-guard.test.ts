import { describe, expect, test } from "vitest";
import { refusalOf } from "../../src/core/admin/guard.js";

const HOSTS = ["epmd.internal"];
const asked = (over: Partial<Parameters<typeof refusalOf>[0]> = {}) =>
  refusalOf({ method: "GET", host: "127.0.0.1:9369", fetchSite: undefined, ...over }, HOSTS);

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
  ])("the Host %s, with what would be right", (host) => {
    expect(asked({ host })).toEqual({
      status: 403,
      message: `the Host header says ${JSON.stringify(host ?? "")}: ask by IP address or as localhost, or give the name to srv-epmd with --admin-host`,
    });
  });

  // Another port of this host is "same-site": a page served there is no page of ours.
  test.each(["cross-site", "same-site", "anything"])("the Sec-Fetch-Site %s", (fetchSite) => {
    expect(asked({ fetchSite })).toMatchObject({ status: 403, message: expect.stringContaining(`"${fetchSite}"`) });
  });

  test.each(["POST", "HEAD", "PUT", "DELETE", "OPTIONS"])("the method %s", (method) => {
    expect(asked({ method })).toMatchObject({ status: 405, message: expect.stringContaining(method) });
  });
});
