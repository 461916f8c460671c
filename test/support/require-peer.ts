import { spawnSync } from "node:child_process";
import { describe, test } from "vitest";
import { findChromium } from "./browser.js";
import { findEi } from "./c-node.js";
import { findConsul } from "./consul-agent.js";
import { findEjabberd } from "./ejabberd.js";
import { findProgram } from "./environment.js";
import { findHaproxy } from "./haproxy.js";
import { findOtp } from "./otp.js";
import { findRabbitmq } from "./rabbitmq.js";

export type Peer =
  | (
      | "erl"
      | "epmd"
      | "erl_call"
      | "erlc"
      | "elixir"
      | "mix"
      | "rebar3"
      | "consul"
      | "curl"
      | "dig"
      | "nft"
      | "openssl"
      | "netns"
      | "tcpdump"
      | "rabbitmq"
      | "rabbitmq4"
      | "ejabberd"
      | "haproxy"
      | "groff"
      | "zsh"
      | "fish"
      | "chromium"
    )
  /** A C compiler and Erlang's library for C nodes. */
  | "ei"
  /** An Erlang/OTP release: the machine's own, or one put beside it. */
  | `otp${number}`;

/**
 * `requirePeer("erl", "consul")("title", () => { ... })` is a `describe` whose tests need these peers. Where one is
 * missing they are skipped with the reason in the title; with CI=true a missing peer is a failure, as a test that never
 * runs there proves nothing. `netns` is the right to make network namespaces, which no package gives: never a failure.
 */
export function requirePeer(...peers: readonly Peer[]): (title: string, body: () => void) => void {
  const missing = peers.filter((peer) => !isThere(peer));
  return (title, body) => {
    if (missing.length === 0) {
      describe(title, body);
    } else if (process.env.CI === "true" && missing.some((peer) => peer !== "netns")) {
      test(`${title}: ${missing.join(", ")} must be installed (bash test/install-peers.sh)`, () => {
        throw new Error(`missing: ${missing.join(", ")}`);
      });
    } else {
      describe.skip(`${title} (skipped: ${missing.join(", ")} missing)`, body);
    }
  };
}

let namespaces: boolean | undefined;

/** Found out once: it takes four programs. */
function canMakeNamespaces(): boolean {
  namespaces ??= tryNamespaces();
  return namespaces;
}

function tryNamespaces(): boolean {
  const name = `srvepmd-${process.pid}-try`;
  const ip = (...args: string[]) => spawnSync("ip", args).status === 0;
  if (!ip("netns", "add", name)) return false;
  const usable = ip("netns", "exec", name, "true") && ip("-n", name, "link", "add", "br0", "type", "bridge");
  ip("netns", "delete", name);
  return usable;
}

/** Peers that are looked for in more places than on PATH. */
const FINDERS: Partial<Record<Peer, () => unknown>> = {
  consul: findConsul,
  rabbitmq: findRabbitmq,
  rabbitmq4: () => findRabbitmq(4),
  ejabberd: findEjabberd,
  haproxy: findHaproxy,
  chromium: findChromium,
  ei: findEi,
};

function isThere(peer: Peer): boolean {
  if (peer === "netns") return canMakeNamespaces();
  if (peer.startsWith("otp")) return findOtp(Number(peer.slice(3))) !== undefined;
  return (FINDERS[peer] ?? (() => findProgram(peer)))() !== undefined;
}
