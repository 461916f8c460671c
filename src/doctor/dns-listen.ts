import type { IpPort } from "../config/network-values.js";
import { startResponder } from "../dns/responder.js";
import { ListenError } from "../errors.js";
import { listenTrouble } from "../gateway/listen-trouble.js";
import { hostPort } from "../net/ip.js";
import { type Finding, fail, ok, skip, together } from "./core/finding.js";
import type { Check, Examination } from "./examination.js";

/** The EPMD is not looked at: its port needs no right, and its address is that of this machine. */
export const dnsListen: Check = {
  id: "dns-listen",
  title: "serve may listen where its DNS is to be (--gateway-listen, --dns-listen), while no srv-epmd runs here",
  run: async (examination) => {
    const { config } = examination;
    const places: { readonly flag: Flag; readonly at: IpPort | undefined }[] = [
      { flag: "--gateway-listen", at: config.gateway ? config.gatewayListen : undefined },
      { flag: "--dns-listen", at: config.dnsListen },
    ];
    const wanted = places.flatMap(({ flag, at }) => (at ? [{ flag, at }] : []));
    if (wanted.length === 0) return skip("there is no DNS to serve (--gateway, --dns-listen)");
    const { holder } = await examination.epmd();
    if (holder.kind === "srv-epmd") return skip("a srv-epmd runs here, and listens where it does");
    const findings = await Promise.all(wanted.map(({ flag, at }) => listen(flag, at, examination)));
    return together(findings, "");
  },
};

type Flag = "--gateway-listen" | "--dns-listen";

/** Listens there for a moment. */
async function listen(flag: Flag, at: IpPort, { log }: Examination): Promise<Finding> {
  const where = `${hostPort(at)} (${flag})`;
  try {
    const responder = await startResponder({ ...at, answer: () => undefined, log });
    await responder.close();
    return ok(`this user${user()} may listen on ${where}, and nothing else does`);
  } catch (error) {
    if (!(error instanceof ListenError)) throw error;
    const cause = (error.cause ?? {}) as NodeJS.ErrnoException;
    const code = cause.code === "EACCES" ? "DNS_LISTEN_DENIED" : "DNS_LISTEN_FAILS";
    const trouble = flag === "--gateway-listen" ? listenTrouble(cause, at) : undefined;
    const why = trouble ? `its DNS ${trouble.why}` : error.message;
    return fail(
      code,
      `serve does not start here as this user${user()}: ${why}`,
      trouble?.advice ?? `give another address: ${flag} ${at.address}:<port>`,
    );
  }
}

function user(): string {
  const uid = process.getuid?.();
  return uid === undefined ? "" : ` (uid ${uid})`;
}
