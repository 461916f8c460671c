import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./child.js";
import { removeFolder, temporaryFolder } from "./temporary.js";

export interface KeyPair {
  /** PEM files. */
  readonly cert: string;
  readonly key: string;
}

export interface Certificates {
  /** PEM files of the authority. */
  readonly ca: string;
  readonly caKey: string;
  /** @param names `DNS:localhost`, `IP:127.0.0.1` */
  readonly issue: (commonName: string, ...names: readonly string[]) => Promise<KeyPair>;
  /** One whose time is over. */
  readonly issueExpired: (commonName: string, ...names: readonly string[]) => Promise<KeyPair>;
  readonly remove: () => Promise<void>;
}

/** A certificate authority for one test file, made by openssl. */
export async function createCertificates(): Promise<Certificates> {
  const folder = await temporaryFolder("tls");
  const ca = join(folder, "ca.pem");
  const caKey = join(folder, "ca.key");
  await openssl("req", "-x509", ...newKey(caKey), "-subj", "/CN=Test Authority", "-days", "2", "-out", ca);
  const sign = async (days: number, commonName: string, names: readonly string[]) => {
    const file = (extension: string) => join(folder, `${commonName.replaceAll(/[^a-z0-9.-]/gi, "_")}.${extension}`);
    const pair = { cert: file("pem"), key: file("key") };
    await openssl("req", ...newKey(pair.key), "-subj", `/CN=${commonName}`, "-out", file("csr"));
    await writeFile(file("ext"), names.length > 0 ? `subjectAltName=${names.join(",")}\n` : "");
    const signed = ["-CA", ca, "-CAkey", caKey, "-CAcreateserial", "-days", String(days), "-extfile", file("ext")];
    await openssl("x509", "-req", "-in", file("csr"), ...signed, "-out", pair.cert);
    return pair;
  };
  return {
    ca,
    caKey,
    issue: (commonName, ...names) => sign(2, commonName, names),
    issueExpired: (commonName, ...names) => sign(-1, commonName, names),
    remove: () => removeFolder(folder),
  };
}

/** An elliptic-curve key: made in no time, unlike RSA's. */
function newKey(file: string): string[] {
  return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", file];
}

async function openssl(...args: readonly string[]): Promise<void> {
  const { code, stderr } = await run("openssl", args);
  if (code !== 0) throw new Error(`openssl ${args.join(" ")}: ${stderr}`);
}
