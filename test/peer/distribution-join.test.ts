import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, expect, test } from "vitest";
import { ASKING_FLAGS, encodeSendName } from "../../src/distribution/wire/handshake.js";
import { createCertificates } from "../support/certificates.js";
import { type LinkedNode, type LinkedNodes, startLinkedNodes, WATCH, writeCookie } from "../support/linked-nodes.js";
import { findOtp } from "../support/otp.js";
import { requirePeer } from "../support/require-peer.js";
import { runCli } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

/** `srv-epmd resolve --probe` with a cookie. */
async function probe(nodes: LinkedNodes, node: LinkedNode, cookieFile = nodes.cookieFile) {
  const args = ["resolve", node.name, ...nodes.entries(node), "--probe", "--json", "--cookie-file", cookieFile];
  const { code, stdout, stderr } = await runCli(args);
  expect(stdout + stderr).not.toContain("srv-epmd-test");
  const { endpoints, joinedAs } = JSON.parse(stdout);
  return { code, joinedAs, probe: endpoints[0].probe };
}

const SEEN = `lists:usort([case News of {log, _} -> News; _ -> {element(1, News), hd(string:split(atom_to_list(element(2, News)), "-probe"))} end
  || {_, News} <- ets:tab2list(seen), string:find(io_lib:format("~p", [News]), "progress") =:= nomatch])`;

/** A value that has been the same for some looks. */
async function settled<T>(look: () => Promise<T>): Promise<T> {
  const seen: T[] = [];
  const isSame = async () => {
    seen.push(await look());
    return seen.length > 5 && new Set(seen.slice(-5)).size === 1;
  };
  await waitFor(isSame, { what: "a value that does not change", interval: 100 });
  return seen.at(-1) as T;
}

let nodes: LinkedNodes;
requirePeer("erl", "epmd")("a VM that is joined for a moment", () => {
  beforeAll(async () => {
    nodes = await startLinkedNodes();
  });
  afterEach(() => nodes.killAll());

  for (const release of [23, 25, 27, 29]) {
    requirePeer(`otp${release}`)(`of OTP ${release}`, () => {
      const otp = findOtp(release);
      const of = otp ? { otp } : {};

      test("says how it is linked, and knows nothing of it afterwards", async () => {
        const a = await nodes.start("a", of);
        const b = await nodes.start("b", of);
        const hidden = await nodes.start("h", { ...of, args: ["-hidden"] });
        expect([await b.vm.ping(a.name), await hidden.vm.ping(a.name)]).toEqual(["pong", "pong"]);
        await a.vm.eval(WATCH);
        const count = () => a.vm.eval("{erlang:system_info(process_count), length(erlang:ports())}");
        // Global and the tests' own processes come to rest.
        const before = await settled(count);

        const seen = await probe(nodes, a);
        expect(seen).toMatchObject({
          code: 0,
          joinedAs: { names: `srv-epmd-probe-*@${hostname()}`, most: 64 },
          probe: {
            result: "node",
            joined: {
              cookie: "same",
              state: {
                ...{ release: String(release), visible: [b.name], hidden: [hidden.name], connecting: [] },
                ...{ connectAll: true, ...(release > 23 && { preventsPartitions: true }) },
              },
            },
          },
        });
        // The other end of the link sees it too, and has the place that it dialled.
        expect((await probe(nodes, b)).probe.joined.state).toMatchObject({
          ...{ visible: [a.name], ends: [{ node: a.name, address: "127.0.0.1", port: a.port }] },
        });
        const dialling = seen.probe.joined.state.ends;
        expect(dialling.map(({ node }: { node: string }) => node).sort()).toEqual([b.name, hidden.name]);
        expect(dialling.map(({ port }: { port: number }) => port)).not.toContain(b.port);

        await waitFor(async () => (await count()) === before, { what: "the VM to be as it was" });
        expect((await a.vm.nodes()).sort()).toEqual([b.name, hidden.name]);
        expect(await a.vm.eval("nodes(hidden)")).toBe(`['${hidden.name}']`);
        // Only who monitors hidden nodes has heard of us; nothing is logged.
        expect(await a.vm.eval(SEEN)).toBe('[{nodedown,"srv-epmd"},{nodeup,"srv-epmd"}]');
        expect(await b.vm.eval("nodes()")).toBe(`['${a.name}']`);
      });

      test("has 64 new atoms at most, all of them names of ours, however often it is asked", async () => {
        const a = await nodes.start("a", of);
        const count = async () => Number(await a.vm.eval("erlang:system_info(atom_count)"));
        // The first link and the first evaluations load modules, which have atoms.
        await probe(nodes, a);
        const before = await settled(count);
        const names = (to: number) =>
          Array.from({ length: 64 }, (_, number) => `srv-epmd-probe-${number}@${hostname()}`).slice(0, to);
        // One command takes the names in their turn: with so many questions each of them.
        const answered = async (times: number) => {
          const asked = Array.from({ length: times }, () => a.name);
          const cookie = ["--probe", "--json", "--cookie-file", nodes.cookieFile];
          const { stdout } = await runCli(["resolve", ...asked, ...nodes.entries(a), ...cookie]);
          return stdout.match(/"cookie":"same","state"/g)?.length;
        };
        // On a busy machine one of them may get no answer in time.
        const ask = (times: number) =>
          waitFor(async () => (await answered(times)) === times, { what: `${times} answers`, timeout: 12_000 });
        await ask(70);
        expect((await count()) - before).toBe(63);
        await ask(70);
        expect((await count()) - before).toBe(63);
        // An atom that is there can be made without a new one.
        for (const name of names(64))
          expect(await a.vm.eval(`is_atom(catch list_to_existing_atom("${name}"))`)).toBe("true");
      });

      test("with another cookie refuses, and logs it", async () => {
        const a = await nodes.start("a", of);
        await a.vm.eval(WATCH);
        const seen = await probe(nodes, a, await writeCookie("another"));
        expect(seen).toMatchObject({ code: 1, probe: { result: "node", joined: { cookie: "refused" } } });
        expect(await a.vm.eval(SEEN)).toContain("Invalid challenge reply");
        expect(await a.vm.eval("nodes([visible, hidden, connected])")).toBe("[]");
      });

      test("tells what keeps it from connecting", async () => {
        const a = await nodes.start("a", {
          ...of,
          args: ["-connect_all", "false", "-kernel", "dist_auto_connect", "never"],
        });
        expect((await probe(nodes, a)).probe.joined.state).toMatchObject({ connectAll: false, autoConnect: "never" });
      });

      test("tells to which node it gets no way", async () => {
        const [a, b] = [await nodes.start("a", of), await nodes.start("b", of)];
        b.vm.child.signal("SIGSTOP");
        await a.vm.eval(`spawn(fun() -> net_kernel:connect_node('${b.name}') end)`);
        const connecting = async () => (await probe(nodes, a)).probe.joined.state.connecting;
        expect(
          await waitFor(async () => ((await connecting()).length > 0 ? connecting() : undefined), {
            what: "the attempt",
          }),
        ).toEqual([b.name]);
        b.vm.child.signal("SIGCONT");
      });

      test("does not take a node that dials it for one that it dials", async () => {
        const a = await nodes.start("a", of);
        const name = "z@127.0.0.1";
        const said = { version: 6, flags: ASKING_FLAGS, creation: 1, name } as const;
        const dialling = connect(a.port, "127.0.0.1", () => dialling.write(encodeSendName(said, 2)));
        try {
          // It waits for the reply to its challenge.
          await once(dialling, "data");
          const pending = `[N || T <- ets:tab2list(sys_dist), element(4, T) =:= pending, N <- [element(2, T)]]`;
          expect(await a.vm.eval(pending)).toBe(`['${name}']`);
          expect((await probe(nodes, a)).probe.joined.state).toMatchObject({ connecting: [] });
        } finally {
          dialling.destroy();
        }
      });
    });
  }

  test("is joined by many at once, who find names of their own", async () => {
    const a = await nodes.start("a");
    const names = Array.from({ length: 24 }, (_, index) => `a@alias${index}.test`);
    // Twenty-four entries for one VM: all of them are asked in the same moment.
    const entries = names.flatMap((name) => ["--node", `${name}=127.0.0.1:${a.port}`]);
    const { stdout } = await runCli([
      "resolve",
      ...names,
      ...entries,
      "--probe",
      "--json",
      "--cookie-file",
      nodes.cookieFile,
    ]);
    expect(stdout.match(/"result":"other-node","name":"a@127\.0\.0\.1"/g)).toHaveLength(24);
    const same = Array.from({ length: 24 }, () => a.name);
    const args = ["resolve", ...same, ...nodes.entries(a), "--probe", "--json", "--cookie-file", nodes.cookieFile];
    expect((await runCli(args)).stdout.match(/"cookie":"same","state"/g)).toHaveLength(24);
    await waitFor(async () => (await a.vm.eval("nodes([visible, hidden, connected])")) === "[]", { what: "no links" });
  });

  test("takes a cookie by a variable, in which it may be for one command", async () => {
    const a = await nodes.start("a");
    const args = ["resolve", a.name, ...nodes.entries(a), "--probe", "--cookie-env", "THE_COOKIE"];
    const { code, stdout } = await runCli(args, { env: { THE_COOKIE: "srv-epmd-test" } });
    expect([code, stdout]).toEqual([0, expect.stringContaining("the cookie is right; OTP 25, linked with 0 nodes")]);
    // What stays in the VM is said where it is joined, and there alone.
    expect(stdout).toContain(`srv-epmd-probe-<0..63>@${hostname()}; each keeps that name in its atom table`);
    expect((await runCli(args.slice(0, -2))).stdout).not.toContain("atom table");
  });

  requirePeer("elixir")("of Elixir", () => {
    test("is asked as any other", async () => {
      const a = await nodes.start("a", { elixir: true });
      const b = await nodes.start("b");
      expect(await b.vm.ping(a.name)).toBe("pong");
      expect((await probe(nodes, a)).probe.joined.state).toMatchObject({ visible: [b.name] });
    });
  });

  requirePeer("openssl")("with -proto_dist inet_tls", () => {
    test.each([23, 25, 27, 29])("of OTP %i is joined inside TLS", async (release) => {
      const otp = findOtp(release);
      if (!otp) return;
      const certificates = await createCertificates();
      const pair = await certificates.issue("node.test", "DNS:node.test");
      const file = join(await temporaryFolder("tls-dist"), "ssl_dist.conf");
      await writeFile(file, `[{server, [{certfile, "${pair.cert}"}, {keyfile, "${pair.key}"}]}].\n`);
      const a = await nodes.start("a", { otp, args: ["-proto_dist", "inet_tls", "-ssl_dist_optfile", file] });
      expect((await probe(nodes, a)).probe).toMatchObject({
        ...{ result: "node", tls: { names: ["node.test"] } },
        joined: { cookie: "same", state: { release: String(release), visible: [], hidden: [] } },
      });
      const wrong = await probe(nodes, a, await writeCookie("another"));
      expect(wrong).toMatchObject({ code: 1, probe: { joined: { cookie: "refused" } } });
      await waitFor(async () => (await a.vm.nodes()).length === 0, { what: "the link to be gone" });
      await certificates.remove();
    });
  });

  test("is pinged with its cookie until it ends, and after it has come again", async () => {
    const a = await nodes.start("a");
    const args = ["ping", a.name, ...nodes.entries(a), "--cookie-file", nodes.cookieFile, "--count", "2"];
    const { code, stdout } = await runCli(args);
    expect([code, stdout]).toEqual([0, expect.stringContaining("2 tries, 2 answered, 0% lost")]);
    expect(stdout.match(/the cookie is right; OTP 25, linked with 0 nodes/g)).toHaveLength(2);
    expect(stdout.match(/each keeps that name in its atom table/g)).toHaveLength(1);
    await a.vm.kill();
    const gone = await runCli([...args.slice(0, -1), "1"]);
    expect([gone.code, gone.stdout]).toEqual([1, expect.stringContaining("the connection was refused")]);
  });
});
