/** Names of services in the certificates of Consul Connect. */

/** A service as its certificate names it. */
export interface ServiceUri {
  /** Lower case. */
  readonly trustDomain: string;
  readonly datacenter: string;
  readonly service: string;
  /** Of Consul Enterprise; `default` where the URI has none. */
  readonly partition: string;
  readonly namespace: string;
}

/** Consul's agent/connect/uri.go: the partition stands there only when it is not the default one. */
const PATH = /^(?:\/ap\/([^/]+))?\/ns\/([^/]+)\/dc\/([^/]+)\/svc\/([^/]+)$/;
/** Characters: Consul's names are far shorter. */
const LONGEST = 2_048;

/** Reads `spiffe://<trust domain>/ns/<namespace>/dc/<datacenter>/svc/<service>`; undefined: it is the URI of no service. */
export function parseServiceUri(text: string): ServiceUri | undefined {
  const [, trustDomain, path] = /^spiffe:\/\/([^/?#@:]+)(\/[^?#]*)$/i.exec(text.slice(0, LONGEST)) ?? [];
  const parts = path === undefined || text.length > LONGEST ? undefined : PATH.exec(path);
  if (trustDomain === undefined || !parts) return undefined;
  try {
    const [partition = "default", namespace = "", datacenter = "", service = ""] = parts
      .slice(1)
      .map((part) => (part === undefined ? undefined : decodeURIComponent(part)));
    return { trustDomain: trustDomain.toLowerCase(), partition, namespace, datacenter, service };
  } catch {
    // A percent sign that begins no octet.
    return undefined;
  }
}

/** The service that must be at the other end. Undefined parts: those of our own certificate. */
export interface ExpectedPeer {
  readonly service: string;
  readonly datacenter?: string | undefined;
}

/**
 * Why a certificate is not that of the service that was looked up; undefined: it is.
 * @param uris of the certificate. SPIFFE X509-SVID section 2: exactly one
 * @param own of our own certificate
 */
export function whyOtherService(uris: readonly string[], expected: ExpectedPeer, own: ServiceUri): string | undefined {
  const [uri] = uris;
  if (uri === undefined || uris.length > 1)
    return `its certificate has ${uris.length} URIs where one names the service`;
  const peer = parseServiceUri(uri);
  if (!peer) return `its certificate names no service of Consul: ${uri}`;
  const { service, datacenter = own.datacenter } = expected;
  const isSame =
    peer.trustDomain === own.trustDomain &&
    peer.partition === own.partition &&
    peer.namespace === own.namespace &&
    peer.datacenter.toLowerCase() === datacenter.toLowerCase() &&
    peer.service.toLowerCase() === service.toLowerCase();
  return isSame ? undefined : `its certificate is that of ${uri}, not of ${service} in ${datacenter}`;
}

/**
 * The URIs in a certificate's subject alternative names, as Node writes them: `URI:spiffe://…, DNS:name`. A name with a comma
 * or a quotation mark in it is a JSON string (Node's crypto.md, CVE-2021-44532).
 */
export function urisOf(subjectAltName: string | undefined): string[] {
  const names = (subjectAltName ?? "").match(/(?:^|, )[A-Za-z ]+:(?:"(?:[^"\\]|\\.)*"|[^,]*)/g) ?? [];
  return names.flatMap((written) => {
    const name = written.replace(/^, /, "");
    if (!name.startsWith("URI:")) return [];
    const value = name.slice("URI:".length);
    if (!value.startsWith('"')) return value;
    try {
      return String(JSON.parse(value));
    } catch {
      return value;
    }
  });
}

/** A serial number as Consul compares it: octets in hexadecimal with colons. @param serial hexadecimal digits, as Node writes it */
export function serialText(serial: string): string {
  const even = serial.length % 2 === 0 ? serial : `0${serial}`;
  return (even.toLowerCase().match(/../g) ?? []).join(":");
}
