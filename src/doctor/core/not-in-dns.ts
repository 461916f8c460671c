/** What is known where the agent has a node, and DNS has not. */
export interface NotInDns {
  /** Undefined: not known. */
  readonly areAclsOff: boolean | undefined;
  /** All name servers that are asked are the agent. */
  readonly asksAgent: boolean;
}

/** What may be the cause, the likeliest first. */
export function notInDnsAdvice({ areAclsOff, asksAgent }: NotInDns): string[] {
  const byAcls = [
    'with ACLs the agent\'s default token (acl.tokens.default) needs node_prefix "" { policy = "read" } and service_prefix "" { policy = "read" }, for DNS is answered with that',
    "or the token is gone that the entry was registered with (see catalogue: --all)",
  ];
  const byServer =
    "ask the DNS of that Consul: --dns consul=<address of the agent>:8600; another Consul does not have the node";
  const advice = [
    ...(areAclsOff ? [] : byAcls),
    // Without ACLs, or where they are not known, the other Consul is as likely.
    ...(asksAgent ? [] : [byServer]),
  ];
  if (areAclsOff === undefined) advice.reverse();
  if (advice.length > 0) return advice;
  return [
    "srv-epmd doctor --all shows in catalogue and consul-leader whether the servers have the entry: the agent tells them a moment later",
  ];
}
