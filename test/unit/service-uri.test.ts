import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { serverKey, serverNameOf } from "../../src/connect/core/inbound.js";
import { parseServiceUri, serialText, urisOf, whyOtherService } from "../../src/connect/core/service-uri.js";

const TRUST = "11111111-2222-3333-4444-555555555555.consul";
const uriOf = (service: string, { datacenter = "dc1", trust = TRUST, namespace = "default", partition = "" } = {}) =>
  `spiffe://${trust}${partition && `/ap/${partition}`}/ns/${namespace}/dc/${datacenter}/svc/${service}`;

describe("the URI of a service", () => {
  test("names trust domain, datacenter and service, and the partition where it is not the default one", () => {
    expect(parseServiceUri(uriOf("svc"))).toEqual({
      ...{ trustDomain: TRUST, partition: "default", namespace: "default", datacenter: "dc1", service: "svc" },
    });
    expect(parseServiceUri(uriOf("svc", { partition: "team" }))?.partition).toBe("team");
    expect(parseServiceUri(uriOf("a%20b"))?.service).toBe("a b");
  });

  test.each([
    ["", "nothing"],
    ["https://x/ns/default/dc/dc1/svc/svc", "another scheme"],
    [`spiffe://${TRUST}/ns/default/dc/dc1/svc/`, "no service"],
    [`spiffe://${TRUST}/ns/default/dc/dc1/svc/a/b`, "a longer path"],
    [`spiffe://${TRUST}/agent/client/dc/dc1/id/x`, "an agent"],
    [`spiffe://user@${TRUST}/ns/default/dc/dc1/svc/svc`, "a user"],
    [`spiffe://${TRUST}:1/ns/default/dc/dc1/svc/svc`, "a port"],
    [`spiffe://${TRUST}/ns/default/dc/dc1/svc/svc?x`, "a query"],
    [`spiffe://${TRUST}/ns/default/dc/dc1/svc/%zz`, "a percent sign that begins no octet"],
    [uriOf("s".repeat(3_000)), "too many characters"],
  ])("%j is none: %s", (text) => {
    expect(parseServiceUri(text)).toBeUndefined();
  });

  test("any text is a service's, or is not, and nothing else happens", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => parseServiceUri(text) === undefined || text !== ""));
  });
});

describe("the other end", () => {
  const own = parseServiceUri(uriOf("web"));
  if (!own) throw new Error("no URI");
  const why = (uris: readonly string[], expected = {}) => whyOtherService(uris, { service: "svc", ...expected }, own);

  test("is the service that was looked up, whatever the case", () => {
    expect(why([uriOf("svc")])).toBeUndefined();
    expect(why([uriOf("SVC")])).toBeUndefined();
    expect(why([uriOf("svc", { datacenter: "dc2" })], { datacenter: "DC2" })).toBeUndefined();
  });

  test.each([
    [[uriOf("web")], "of another service"],
    [[uriOf("svc", { datacenter: "dc2" })], "of another datacenter"],
    [[uriOf("svc", { trust: "other.consul" })], "of another trust domain"],
    [[uriOf("svc", { namespace: "team" })], "of another namespace"],
    [[uriOf("svc", { partition: "team" })], "of another partition"],
    [[], "without a URI"],
    [[uriOf("svc"), uriOf("web")], "with two"],
    [["https://svc"], "with one that names no service"],
  ])("is not a certificate %#: %s", (uris) => {
    expect(why(uris)).toMatch(/certificate/);
  });
});

test("the URIs of a certificate are read as Node writes them, and no other name passes for one", () => {
  expect(urisOf(`URI:${uriOf("svc")}`)).toEqual([uriOf("svc")]);
  expect(urisOf(`DNS:svc.example, URI:${uriOf("svc")}, IP Address:10.0.0.1`)).toEqual([uriOf("svc")]);
  expect(urisOf(`DNS:"a, URI:${uriOf("svc")}"`)).toEqual([]);
  expect(urisOf('URI:"spiffe://a,b"')).toEqual(["spiffe://a,b"]);
  expect(urisOf(undefined)).toEqual([]);
});

test("a serial number is octets with colons", () => {
  expect([serialText("08"), serialText("8"), serialText("0ABC")]).toEqual(["08", "08", "0a:bc"]);
});

test("a node has one server name in every datacenter", () => {
  const name = serverNameOf("Node_A@svc.service.consul");
  expect(name).toBe("node_a.svc.service.consul");
  expect([serverKey(name), serverKey("node_a.svc.service.dc2.consul")]).toEqual(["node_a.svc", "node_a.svc"]);
  expect(serverKey("node_a.other.host")).toBe("node_a.other.host");
});
