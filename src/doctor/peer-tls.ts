import { hostPort } from "../net/ip.js";
import { listed } from "../text.js";
import { accepts, NOT_NAMED, UNKNOWN } from "./asked-node.js";
import { fail, ofVms, ok, skip } from "./core/finding.js";
import type { Check } from "./examination.js";
import { speaksTls } from "./local-vms.js";

export const peerTls: Check = {
  id: "peer-tls",
  title: "the VMs here and the node both speak TLS, or neither does (-proto_dist inet_tls)",
  run: async (examination) => {
    const { asked } = examination;
    if (!asked) return NOT_NAMED;
    const [all, local] = [await examination.probes(), await examination.peersOfAsked()];
    const there = all.filter(accepts).find(({ probe }) => speaksTls(probe) !== undefined);
    if (!there) return skip(UNKNOWN);
    const isSecure = speaksTls(there.probe) === true;
    const place = `${asked.full} at ${hostPort(there.endpoint)}`;
    const told = local.flatMap(({ node, probe }) => {
      const tls = speaksTls(probe);
      return tls === undefined ? [] : [{ name: node.aliveName, tls }];
    });
    if (told.length === 0) return skip("no VM here tells whether it speaks TLS");
    const others = told.filter(({ tls }) => tls !== isSecure).map(({ name }) => name);
    if (others.length === 0) return ok(`${place} ${isSecure ? "speaks" : "does not speak"} TLS, and so the VMs here`);
    const [secure, plain] = isSecure ? [place, `${listed(others)} here`] : [`${listed(others)} here`, place];
    const start = `start the VM of ${isSecure ? listed(others) : asked.full} with -proto_dist ${there.endpoint.family === 6 ? "inet6_tls" : "inet_tls"} and -ssl_dist_optfile too, or the other one without`;
    const evidence = `${secure} speaks TLS, ${plain} does not: neither accepts the other's connections`;
    return ofVms(others, fail("PEER_TLS", evidence, start));
  },
};
