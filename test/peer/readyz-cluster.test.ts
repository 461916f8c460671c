import { writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { adminOf, useCatalogueDaemons } from "../support/catalogue-daemons.js";
import { startChild } from "../support/child.js";
import { fullName } from "../support/cluster.js";
import { type ErlangNode, startNode } from "../support/erlang.js";
import { http } from "../support/http.js";
import { writeCookie } from "../support/linked-nodes.js";
import { moduleFolder } from "../support/module-folder.js";
import { findOtp } from "../support/otp.js";
import { rawNode } from "../support/raw-epmd.js";
import { requirePeer } from "../support/require-peer.js";
import { type Daemon, startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

requirePeer("erl", "consul")("/readyz?cluster=", () => {
  const { begun, serve: serveAt, stockVm, vm } = useCatalogueDaemons();
  const serve = (instance: string, ...args: readonly string[]) => serveAt(instance, 0, ...args);

  /** The condition, with the status of the whole answer before it. */
  const seen = async (daemon: Daemon, pattern = "*@svc") => {
    const { status, body } = await http(adminOf(daemon), `/readyz?cluster=${encodeURIComponent(pattern)}`);
    const { checks } = JSON.parse(body) as { checks: { name: string; ok: boolean; reason?: string }[] };
    const { ok, reason } = checks.find(({ name }) => name === "cluster") ?? {};
    return `${status} ${ok} ${reason ?? ""}`.trim();
  };
  const becomes = async (daemon: Daemon, expected: string, timeout = 15_000) => {
    let last = "";
    const isSo = async () => {
      last = await seen(daemon);
      return last === expected;
    };
    await waitFor(isSo, { what: expected, timeout }).catch((error: unknown) => {
      throw new Error(`${String(error)}; at last: ${last}`);
    });
  };

  test("is 503 until the node here is linked with all that pass, and again when a link breaks", async () => {
    const [here, there] = await Promise.all([serve("here"), serve("there")]);
    expect(await seen(here)).toBe("503 false no node that is registered here matches *@svc.service.consul");
    const a = await vm("node_a", here);
    await becomes(here, "200 true");
    const b = await vm("node_b", there);
    await becomes(here, `503 false ${fullName("node_a")} is not linked with ${fullName("node_b")}`);
    await becomes(there, `503 false ${fullName("node_b")} is not linked with ${fullName("node_a")}`);
    expect(await a.ping(fullName("node_b"))).toBe("pong");
    await Promise.all([becomes(here, "200 true"), becomes(there, "200 true")]);
    await b.eval(`erlang:disconnect_node('${fullName("node_a")}')`);
    await becomes(here, `503 false ${fullName("node_a")} is not linked with ${fullName("node_b")}`);
    // A node that has ended is no peer any more, once Consul knows it.
    await b.kill();
    await becomes(here, "200 true");
  });

  test("asks a VM again after its daemon was restarted, and knows nothing of one that is stopped", async () => {
    const first = await serve("here");
    const a = await vm("node_a", first);
    await becomes(first, "200 true");
    await first.stop();
    const again = await serveAt("here", first.port);
    await becomes(again, "200 true");
    a.child.signal("SIGSTOP");
    try {
      const unknown = `503 false it is not known with whom ${fullName("node_a")} is linked: its VM does not answer`;
      await becomes(again, unknown);
      // An answer holds for a second: the next question is asked anew, with the one before unanswered.
      await sleep(1_200);
      expect(await seen(again)).toBe(unknown);
    } finally {
      a.child.signal("SIGCONT");
    }
    await becomes(again, "200 true");
  });

  test("holds for each of several nodes here, and waits for no links of hidden ones", async () => {
    const cookieFile = await writeCookie();
    const [here, there] = await Promise.all([serve("here", "--cookie-file", cookieFile), serve("there")]);
    const [a] = [await vm("node_a", here), await vm("node_b", here)];
    // As a C node registers.
    const cNode = await rawNode(there.port, { name: "node_c", type: 72 });
    begun({ stop: cNode.close });
    const published = (daemon: Daemon) => daemon.log().filter(({ msg }) => msg === "published").length;
    await waitFor(() => published(here) === 2 && published(there) === 1, { what: "all nodes in Consul" });
    await waitFor(async () => (await seen(here)).includes("; "), { what: "both reasons" });
    expect(await seen(here)).not.toContain(fullName("node_c"));
    expect(await a.ping(fullName("node_b"))).toBe("pong");
    await Promise.all([becomes(here, "200 true"), becomes(there, "200 true")]);
    expect(await seen(here, "node_a@svc")).toBe("200 true");
    expect(await seen(here, "node_d*@svc")).toMatch(/^503 false no node that is registered here matches node_d\*@svc/);
    await stockVm("hidden", here, { args: ["-hidden"] });
    await waitFor(async () => (await seen(here)).includes(`is not linked with ${fullName("hidden")}`), {
      what: "a link to wait for",
    });
    expect(await seen(here, "hid*@svc")).toBe("200 true");
  });

  describe("of a stock VM", () => {
    test("is 503 without its cookie, and says what is missing", async () => {
      const here = await serve("here");
      await stockVm("node_a", here);
      await waitFor(async () => (await seen(here)).includes("--cookie-file"), { what: "the reason" });
    });

    test("is known with the cookie, which is read again when it was not the right one", async () => {
      const cookieFile = await writeCookie("another");
      const [here, there] = await Promise.all([serve("here", "--cookie-file", cookieFile), serve("there")]);
      await stockVm("node_a", here);
      await vm("node_b", there);
      await waitFor(async () => (await seen(here)).includes("refuses the cookie"), { what: "the refusal" });
      await writeFile(cookieFile, "srv-epmd-test\n");
      await becomes(here, `503 false ${fullName("node_a")} is not linked with ${fullName("node_b")}`);
      expect(here.child.stderr()).not.toContain("srv-epmd-test");
    });
  });

  for (const release of [23, 27, 29]) {
    requirePeer(`otp${release}`)(`OTP ${release}`, () => {
      test("says with whom it is linked", async () => {
        const otp = findOtp(release);
        const here = await serve("here");
        const nodes: ErlangNode[] = [];
        // OTP 23 asks the system for the host's address before it asks the module.
        const inetrc = `{host, {127,0,0,1}, ["svc.service.consul"]}. {lookup, [file]}.`;
        for (const name of ["node_a", "node_b"]) nodes.push(await vm(name, here, { inetrc, ...(otp && { otp }) }));
        await waitFor(async () => (await seen(here)).startsWith("503 false"), { what: "the missing link" });
        await waitFor(async () => (await nodes[0]?.ping(fullName("node_b"))) === "pong", { what: "pong" });
        await becomes(here, "200 true");
      });
    });
  }
});

/** As another user: registers `evil` at a port of its own and tells of each connection there; then offers to speak for `node_a`. */
const ANOTHER = `
  const net = require("node:net");
  const epmd = Number(process.argv[1]);
  const vm = net.createServer((socket) => { console.log("connection"); socket.destroy(); }).listen(0, "127.0.0.1", () => {
    const name = Buffer.from("evil"), port = vm.address().port, body = Buffer.alloc(13 + name.length);
    body.writeUInt8(120, 0); body.writeUInt16BE(port, 1); body.writeUInt8(77, 3); body.writeUInt16BE(6, 5);
    body.writeUInt16BE(5, 7); body.writeUInt16BE(name.length, 9); name.copy(body, 11);
    const frame = (bytes) => Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
    const held = net.connect(epmd, "127.0.0.1", () => held.write(frame(body)));
    held.once("data", () => {
      console.log("registered");
      const offer = net.connect(epmd, "127.0.0.1", () => offer.write(frame(Buffer.from("lnode_a"))));
      offer.on("data", () => console.log("asked")).on("end", () => console.log("closed"));
    });
  });`;

requirePeer("erl", "netns")("another user of the machine", () => {
  test("speaks for no VM of others, and gets no digest of a cookie that is not its own", async () => {
    const cookieFile = await writeCookie();
    const zone = ["--domain", "svc.service.consul", "--register", "none", "--dns-listen", "127.0.0.1:0"];
    const daemon = await startDaemon({ args: [...zone, "--admin", "127.0.0.1:0", "--cookie-file", cookieFile] });
    const args = ["-pa", await moduleFolder(), "-epmd_module", "srv_epmd"];
    const a = await startNode({ name: fullName("node_a"), epmdPort: daemon.port, args });
    const other = startChild("setpriv", [
      ...["--reuid=54321", "--regid=54321", "--clear-groups", process.execPath, "-e", ANOTHER, String(daemon.port)],
    ]);
    try {
      await other.waitForOutput(/registered\s+closed/);
      const admin = String(daemon.log().find(({ msg }) => msg === "ready")?.admin);
      const { body } = await http(admin, "/readyz?cluster=*@svc.service.consul");
      expect(body).toContain("the user 54321 has its port, not 0");
      expect(body).toContain(`${fullName("node_a")} is not linked with ${fullName("evil")}`);
      expect(other.stdout()).not.toMatch(/asked|connection/);
    } finally {
      await Promise.all([a.kill(), other.stop()]);
      await daemon.stop();
    }
  });
});
