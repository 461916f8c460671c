import { describe, expect, test } from "vitest";
import { isBridged, readNomadEnvironment } from "../../src/config/nomad.js";

describe("Nomad's environment", () => {
  test("gives each port with the host side that it is mapped to", () => {
    const { ports } = readNomadEnvironment({
      NOMAD_PORT_dist: "9100",
      NOMAD_HOST_PORT_dist: "22001",
      NOMAD_HOST_IP_dist: "10.0.0.5",
      NOMAD_IP_dist: "10.0.0.5",
      NOMAD_ALLOC_IP_dist: "172.26.64.3",
      NOMAD_ADDR_dist: "10.0.0.5:22001",
    });
    expect(ports).toEqual([
      { label: "dist", taskPort: 9100, hostPort: 22001, hostIp: "10.0.0.5", allocIp: "172.26.64.3" },
    ]);
    expect(ports.map(isBridged)).toEqual([true]);
  });

  test("in a host network has the same port and address on both sides", () => {
    const { ports } = readNomadEnvironment({
      NOMAD_PORT_dist: "22001",
      NOMAD_IP_dist: "10.0.0.5",
      NOMAD_ALLOC_IP_dist: "10.0.0.5",
    });
    expect(ports).toEqual([
      { label: "dist", taskPort: 22001, hostPort: 22001, hostIp: "10.0.0.5", allocIp: "10.0.0.5" },
    ]);
    expect(ports.map(isBridged)).toEqual([false]);
  });

  test("takes the highest port, and nothing from variables that only look alike", () => {
    const { ports } = readNomadEnvironment({ NOMAD_PORT_x: "65535", MY_NOMAD_PORT_y: "1", NOMAD_PORT_: "2" });
    expect(ports).toEqual([{ label: "x", taskPort: 65_535, hostPort: 65_535, hostIp: undefined, allocIp: undefined }]);
    // Of one side alone it is not known whether the other one differs.
    const one = { ...ports[0], label: "x", taskPort: 1, hostPort: 1 };
    expect(isBridged({ ...one, hostIp: "10.0.0.5", allocIp: undefined })).toBe(false);
    expect(isBridged({ ...one, hostIp: undefined, allocIp: "172.26.64.3" })).toBe(false);
  });

  test("keeps labels as they are written", () => {
    const { ports } = readNomadEnvironment({ NOMAD_PORT_erl_dist: "1", "NOMAD_PORT_erl-dist": "1" });
    expect(ports.map(({ label }) => label)).toEqual(["erl_dist", "erl-dist"]);
  });

  test.each(["", "0", "65536", "http", "-1", "1.5"])("does not take %j for a port", (text) => {
    const read = readNomadEnvironment({ NOMAD_PORT_x: text, ERL_DIST_PORT: text });
    expect([read.ports, read.erlDistPort]).toEqual([[], undefined]);
  });

  test("names the allocation, shortened as Nomad does where it does not", () => {
    expect(readNomadEnvironment({ NOMAD_SHORT_ALLOC_ID: "abcd1234" }).shortAllocId).toBe("abcd1234");
    expect(readNomadEnvironment({ NOMAD_ALLOC_ID: "0123abcd-5f6e-7d8c" })).toMatchObject({
      allocId: "0123abcd-5f6e-7d8c",
      shortAllocId: "0123abcd",
    });
  });

  test("is empty elsewhere", () => {
    expect(readNomadEnvironment({ PATH: "/bin" })).toEqual({
      ports: [],
      allocId: undefined,
      shortAllocId: undefined,
      upstreams: [],
      erlDistPort: undefined,
    });
  });

  test("tells the distribution port of releases", () => {
    expect(readNomadEnvironment({ ERL_DIST_PORT: "9100" }).erlDistPort).toBe(9100);
  });
});
