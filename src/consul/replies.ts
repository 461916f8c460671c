import { list, record, text } from "../api/core/json.js";
import type { ServiceInstance, ServiceMember } from "../catalogue/core/instances.js";
import type { Authorization, Leaf, Roots } from "../connect/core/credentials.js";
import { ConsulError } from "../errors.js";
import type { LocalService, Sidecar, Upstream } from "../mesh/core/upstreams.js";
import { canonicalIp } from "../net/ip.js";
import {
  type HeldCheck,
  type HeldService,
  isWithdrawn,
  obstacleOf,
  type ServiceEntry,
  tcpCheckId,
  ttlCheckId,
} from "../publish/core/service-entry.js";

/** Parsers of Consul's JSON. They do not trust it: what has another shape is left out. */

/** A whole number from 0 on, else another one. */
function whole(value: unknown, otherwise: number): number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : otherwise;
}

function texts(value: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(record(value) ?? {}).map(([key, item]) => [key, text(item)]));
}

/** GET /v1/agent/service/:id */
export function parseService(value: unknown): HeldService | undefined {
  const service = record(value);
  if (!service || typeof service.ID !== "string") return undefined;
  return {
    id: service.ID,
    service: text(service.Service),
    tags: list(service.Tags).map(text),
    address: text(service.Address) || undefined,
    port: Number(service.Port ?? 0),
    weight: Number(record(service.Weights)?.Passing ?? 1),
    meta: texts(service.Meta),
    isNative: isNative(service),
  };
}

/** GET /v1/agent/services: by id. */
export function parseServices(value: unknown): HeldService[] {
  return Object.values(record(value) ?? {}).flatMap((item) => parseService(item) ?? []);
}

/** GET /v1/agent/checks: by check id; GET /v1/health/service/:name has a list of them for each instance. */
export function parseChecks(value: unknown): HeldCheck[] {
  return Object.values(record(value) ?? list(value)).flatMap((item) => {
    const check = record(item);
    if (!check) return [];
    return {
      checkId: text(check.CheckID),
      serviceId: text(check.ServiceID),
      status: text(check.Status),
      notes: text(check.Notes),
      output: text(check.Output),
    };
  });
}

/** GET /v1/health/service/:name, without Connect proxies. */
export function parseHealth(value: unknown): ServiceInstance[] {
  return parseMembers(value).map(
    ({ health: _, obstacle: __, withdrawn: ___, machine: ____, machineAddress: _____, ...instance }) => instance,
  );
}

/** The same with the health and the machine of each instance. */
export function parseMembers(value: unknown): ServiceMember[] {
  return list(value).flatMap((item) => {
    const service = parseService(record(item)?.Service);
    if (!service || text(record(record(item)?.Service)?.Kind) !== "") return [];
    const { id, tags, port, meta } = service;
    const node = record(record(item)?.Node);
    const held = parseChecks(record(item)?.Checks);
    const checks = list(record(item)?.Checks).map(record);
    const states = checks.map((check) => text(check?.Status));
    // As in Consul: the worst status of the checks of the instance and of its machine.
    const health = (["critical", "warning"] as const).find((state) => states.includes(state)) ?? "passing";
    const address = service.address ?? text(node?.Address);
    const weights = record(record(record(item)?.Service)?.Weights);
    // As in Consul's DNS (agent/dns.go, findWeight).
    const weight = whole(health === "warning" ? weights?.Warning : weights?.Passing, 1);
    const versions = [record(record(item)?.Service), ...checks].map((one) => whole(one?.ModifyIndex, 0));
    return {
      serviceId: id,
      tags,
      port,
      meta,
      ...(isNative(record(item)?.Service) && { isNative: true }),
      critical: health === "critical",
      weight: Math.min(weight, 65535),
      version: Math.max(...versions),
      health,
      obstacle: obstacleOf(id, held),
      ...(isWithdrawn(id, held) && { withdrawn: true as const }),
      address,
      machine: text(node?.Node),
      machineAddress: text(node?.Address),
    };
  });
}

function isNative(service: unknown): boolean {
  return record(record(service)?.Connect)?.Native === true;
}

/** GET /v1/agent/services, for the services of others. */
export function parseLocalServices(value: unknown): LocalService[] {
  return Object.values(record(value) ?? {}).flatMap((item) => {
    const service = record(item);
    if (!service || typeof service.ID !== "string") return [];
    const proxy = service.Kind === "connect-proxy" ? record(service.Proxy) : undefined;
    return {
      id: service.ID,
      service: text(service.Service),
      proxyOf: proxy && text(proxy.DestinationServiceID),
      native: isNative(service),
    };
  });
}

/** GET /v1/agent/services: the Connect proxies among them. */
export function parseSidecars(value: unknown): Sidecar[] {
  return Object.values(record(value) ?? {}).flatMap((item) => parseSidecar(item) ?? []);
}

/** GET /v1/agent/service/:id; undefined when it is no Connect proxy. */
export function parseSidecar(value: unknown): Sidecar | undefined {
  const service = record(value);
  const proxy = record(service?.Proxy);
  if (!service || !proxy || service.Kind !== "connect-proxy" || typeof service.ID !== "string") return undefined;
  return {
    id: service.ID,
    service: text(proxy.DestinationServiceName),
    serviceId: text(proxy.DestinationServiceID),
    tags: list(service.Tags).map(text),
    upstreams: list(proxy.Upstreams).flatMap((item) => parseUpstream(item) ?? []),
  };
}

/** Undefined for an upstream without an address and port to dial: a unix socket, for example. */
function parseUpstream(value: unknown): Upstream | undefined {
  const upstream = record(value);
  const port = Number(upstream?.LocalBindPort ?? 0);
  // Absent: Consul's default.
  const address = canonicalIp(text(upstream?.LocalBindAddress) || "127.0.0.1");
  const destination = text(upstream?.DestinationName);
  if (destination === "" || address === undefined || !Number.isInteger(port) || port < 1 || port > 65535)
    return undefined;
  return { destination, address: LISTENING[address] ?? address, port };
}

/** The address at which this machine reaches a listener on all addresses. */
const LISTENING: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };

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
    ...(entry.isNative && { Connect: { Native: true } }),
    Meta: entry.meta,
    Weights: { Passing: entry.weight, Warning: entry.weight },
    Checks: checks,
  };
}

/** GET /v1/agent/connect/ca/leaf/:service. @throws ConsulError for what is no certificate */
export function parseLeaf(value: unknown): Leaf {
  const leaf = record(value);
  const [certificate, key, uri] = [text(leaf?.CertPEM), text(leaf?.PrivateKeyPEM), text(leaf?.ServiceURI)];
  if (certificate === "" || key === "" || uri === "") throw unreadable("no certificate with a key");
  return { certificate, key, uri, validAfter: text(leaf?.ValidAfter), validBefore: text(leaf?.ValidBefore) };
}

/** GET /v1/agent/connect/ca/roots. @throws ConsulError for what has no root */
export function parseRoots(value: unknown): Roots {
  const roots = list(record(value)?.Roots).map(record);
  const certificates = roots.flatMap((root) => {
    // An intermediate is in the leaf; roots of Consul's own have them too.
    const own = text(root?.RootCert);
    return own === "" ? [] : [own];
  });
  if (certificates.length === 0) throw unreadable("no root certificate: Connect may be off (connect.enabled)");
  return { certificates };
}

/** POST /v1/agent/connect/authorize. @throws ConsulError for what says neither yes nor no */
export function parseAuthorization(value: unknown): Authorization {
  const answer = record(value);
  const isAllowed = answer?.Authorized;
  if (typeof isAllowed !== "boolean") throw unreadable("no answer whether a caller may come in");
  return { isAllowed, reason: text(answer?.Reason) || "no reason given" };
}

function unreadable(what: string): ConsulError {
  return new ConsulError("CONSUL_REJECTED", `the Consul agent gives ${what}`);
}
