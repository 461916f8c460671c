import { type ServiceEntry, tcpCheckId, ttlCheckId } from "../core/service-entry.js";

/** Body of PUT /v1/agent/service/register. */
export function registration(entry: ServiceEntry): object {
  const deregister = { DeregisterCriticalServiceAfter: `${entry.deregisterAfter}ms` };
  const checks: object[] = [
    {
      CheckID: ttlCheckId(entry.id),
      Name: "VM connected to srv-epmd",
      TTL: `${entry.ttl}ms`,
      // Without it a new check starts critical, out of DNS until the first pass.
      Status: "passing",
      ...deregister,
    },
  ];
  if (entry.tcpCheck !== undefined) {
    const probe = { TCP: entry.tcpCheck, Interval: "10s", Timeout: "5s", Status: "passing" };
    checks.push({ CheckID: tcpCheckId(entry.id), Name: "distribution port", ...probe, ...deregister });
  }
  return {
    ID: entry.id,
    Name: entry.service,
    Tags: entry.tags,
    ...(entry.address !== undefined && { Address: entry.address }),
    Port: entry.port,
    Meta: entry.meta,
    Weights: { Passing: entry.weight, Warning: entry.weight },
    Checks: checks,
  };
}
