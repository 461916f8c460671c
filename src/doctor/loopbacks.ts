import { type Finding, fail, ok, skip, warn } from "./core/finding.js";
import type { Check } from "./examination.js";
import { type Holder, isListening, processWords } from "./local-epmd.js";

export const loopbacks: Check = {
  id: "loopbacks",
  title: "both loopbacks, 127.0.0.1 and ::1, lead to one EPMD: VMs with -proto_dist inet6_tcp register over ::1",
  run: async ({ epmd }) => {
    const { holders } = await epmd();
    return compare(...holders);
  },
};

function compare(four: Holder, six: Holder): Finding {
  if (!isListening(four) && !isListening(six)) return skip("nothing listens on either loopback");
  if (six.kind === "no-address") return ok(`${four.at} answers, and this machine has no ::1`);
  if (isListening(four) && isListening(six)) {
    // The same process, or the same kind where processes cannot be seen. (Names may have changed between the two requests.)
    const isSame = four.process?.pid === six.process?.pid && (four.process !== undefined || four.kind === six.kind);
    if (isSame) return ok(`${four.at} and ${six.at} lead to the same EPMD`);
    return fail(
      "LOOPBACKS_DIFFER",
      `${four.at} is ${KINDS[four.kind]}${processWords(four.process)}, and ${six.at} is ${KINDS[six.kind]}${processWords(six.process)}`,
      "stop the one that is not srv-epmd, and restart srv-epmd: VMs register over 127.0.0.1, with -proto_dist inet6_tcp over ::1",
    );
  }
  const missing = isListening(four) ? six : four;
  const who =
    missing === six ? "VMs with -proto_dist inet6_tcp cannot" : "VMs cannot, unless they have -proto_dist inet6_tcp,";
  return warn(
    "LOOPBACK_UNSERVED",
    `nothing listens on ${missing.at}`,
    `${who} register here: restart srv-epmd, which listens on both addresses`,
  );
}

const KINDS: Record<Holder["kind"], string> = {
  "srv-epmd": "srv-epmd",
  stock: "a stock epmd",
  nothing: "nothing",
  "no-address": "nothing",
  silent: "a program that does not answer",
  other: "not an EPMD",
};
