import { describe, expect, test } from "vitest";
import {
  isBridged,
  isForTasks,
  portOfLabel,
  proxiedServices,
  readNomadEnvironment,
  uncleaned,
} from "../../src/config/nomad.js";

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

  /** As client/taskenv/env.go sets them: it cleans the label in some of the variables. */
  const HYPHEN = {
    NOMAD_PORT_erl_dist: "9100",
    NOMAD_HOST_PORT_erl_dist: "23456",
    NOMAD_IP_erl_dist: "192.0.2.9",
    NOMAD_ADDR_erl_dist: "192.0.2.9:23456",
    "NOMAD_HOST_IP_erl-dist": "192.0.2.9",
    "NOMAD_HOST_ADDR_erl-dist": "192.0.2.9:23456",
    "NOMAD_ALLOC_PORT_erl-dist": "9100",
    "NOMAD_ALLOC_IP_erl-dist": "172.26.64.7",
    "NOMAD_ALLOC_ADDR_erl-dist": "172.26.64.7:9100",
  };

  test("has a label once, as the job writes it, whatever Nomad makes of it in a variable", () => {
    const port = { label: "erl-dist", taskPort: 9100, hostPort: 23_456, hostIp: "192.0.2.9", allocIp: "172.26.64.7" };
    for (const env of [HYPHEN, Object.fromEntries(Object.entries(HYPHEN).reverse())]) {
      const { ports } = readNomadEnvironment(env);
      expect(ports).toEqual([port]);
      expect(ports.map(isBridged)).toEqual([true]);
      expect(
        ["erl-dist", "erl_dist", "erl.dist", "erl", "dist"].map((label) => portOfLabel(ports, label)?.label),
      ).toEqual(["erl-dist", "erl-dist", "erl-dist", undefined, undefined]);
    }
    const plain = readNomadEnvironment({ NOMAD_PORT_erl_dist: "1", "NOMAD_PORT_erl-dist": "1" });
    expect(plain.ports.map(({ label }) => label)).toEqual(["erl-dist"]);
  });

  test("tells the ports of Connect proxies from those of the tasks, and which services have a proxy", () => {
    const { ports } = readNomadEnvironment({
      NOMAD_PORT_web: "8080",
      NOMAD_PORT_connect_proxy_rmq_dist_x: "21111",
      "NOMAD_HOST_IP_connect-proxy-rmq-dist-x": "192.0.2.9",
    });
    expect(ports.filter(isForTasks).map(({ label }) => label)).toEqual(["web"]);
    expect(proxiedServices(ports)).toEqual(["rmq-dist-x"]);
    expect(uncleaned("rmq_dist_x", ["rmq-dist", "Rmq-dist-x"])).toBe("Rmq-dist-x");
    expect([uncleaned("rmq-dist_x", ["rmq.dist-x"]), uncleaned("a_b", ["a-c"])]).toEqual(["rmq-dist_x", "a_b"]);
    // Where no variable has it as it is written.
    expect(proxiedServices(readNomadEnvironment({ NOMAD_PORT_connect_proxy_a_b: "1" }).ports)).toEqual(["a_b"]);
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

  test("says which task of which allocation this is", () => {
    const { task } = readNomadEnvironment({
      NOMAD_ALLOC_ID: "0123abcd-5f6e-7d8c",
      NOMAD_ALLOC_NAME: "chat.web[2]",
      NOMAD_TASK_NAME: "epmd",
      NOMAD_GROUP_NAME: "web",
      NOMAD_JOB_ID: "chat-eu",
      NOMAD_JOB_NAME: "chat",
      NOMAD_NAMESPACE: "prod",
      NOMAD_DC: "ams1",
      NOMAD_REGION: "",
      NOMAD_SECRETS_DIR: "/secrets",
      NOMAD_TOKEN: "not to be kept",
    });
    expect(task).toEqual({
      ...{ allocId: "0123abcd-5f6e-7d8c", allocName: "chat.web[2]", task: "epmd", group: "web" },
      ...{ jobId: "chat-eu", jobName: "chat", namespace: "prod", datacenter: "ams1", region: undefined },
      hasToken: true,
    });
  });

  test("is empty elsewhere", () => {
    expect(readNomadEnvironment({ PATH: "/bin" })).toEqual({
      ports: [],
      task: undefined,
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
