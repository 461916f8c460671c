import { type Finding, fail, ok, together, warn } from "./core/finding.js";
import type { Check } from "./examination.js";
import { NO_NODE } from "./local-epmd.js";
import type { LocalVm } from "./local-vms.js";

export const vmState: Check = {
  id: "vm-state",
  title: "the VMs here run, are no hidden nodes, and connect by themselves (dist_auto_connect)",
  run: async (examination) => {
    const vms = await examination.localVms();
    return together(
      vms.flatMap((vm) => judge(vm, examination.asked !== undefined)),
      NO_NODE,
    );
  },
};

/** @param isAsking a node was asked for, which a VM that does not run cannot reach */
function judge({ node: { aliveName }, process, probe }: LocalVm, isAsking: boolean): Finding[] {
  const found: Finding[] = [];
  const say = (
    code: "VM_STOPPED" | "VM_SILENT" | "VM_HIDDEN" | "VM_NEVER_CONNECTS",
    evidence: string,
    advice: string,
    saying = warn,
  ) => found.push(saying(code, evidence, advice, aliveName));
  const halted = isAsking ? fail : warn;
  if (process?.state === "T" || process?.state === "t") {
    const by = process.state === "T" ? "by a signal (SIGSTOP, SIGTSTP)" : "by a debugger";
    say(
      "VM_STOPPED",
      `the VM of ${aliveName} (process ${process.pid}) is stopped ${by}: its machine accepts connections, and nobody answers them`,
      process.state === "T" ? `continue it: kill -CONT ${process.pid}` : "end the debugger",
      halted,
    );
  } else if (probe.result === "silent" && probe.stage === "handshake") {
    say(
      "VM_SILENT",
      `the VM of ${aliveName} accepts a connection and does not answer within ${(probe.elapsedMs / 1000).toFixed(0)} s`,
      "look at its load: in top its process takes all processors where it is busy, and none where net_kernel is blocked",
      halted,
    );
  }
  if (probe.result === "node" && probe.hidden) {
    say(
      "VM_HIDDEN",
      `${aliveName} is a hidden node (-hidden): it is in no nodes() of its peers, only in nodes(hidden), and no peer of its peers connects to it`,
      "start it without -hidden if it is to be a member of the cluster",
    );
  }
  if (process?.autoConnect !== undefined) {
    const never = process.autoConnect === "never";
    say(
      "VM_NEVER_CONNECTS",
      `${aliveName} has dist_auto_connect ${process.autoConnect}: ${never ? "it dials no node by itself, so a message or an rpc to a node without a link fails at once" : "it dials a node once, and not again after the link was lost"}`,
      never
        ? "connect with net_kernel:connect_node/1, or take the parameter away: -kernel dist_auto_connect"
        : "after a loss connect with net_kernel:connect_node/1, or take the parameter away: -kernel dist_auto_connect",
    );
  }
  return found.length > 0 ? found : [ok(`the VM of ${aliveName} runs`)];
}
