import { createSign, generateKeyPairSync, type KeyObject } from "node:crypto";
import type { Consul } from "./consul-agent.js";

/** A token of the auth method, as `consul acl token list` shows it. */
export interface LoginToken {
  readonly AccessorID: string;
  readonly CreateTime: string;
}

export interface AuthMethod {
  readonly name: string;
  /** Makes it, with its binding rule; also again after `remove`. */
  readonly create: () => Promise<void>;
  /** Ends all its tokens too. */
  readonly remove: () => Promise<void>;
  /** A JWT that it accepts, with these claims in addition. */
  readonly jwt: (claims?: object) => string;
  /** One with the claims of `jwt`, signed by a key that it does not know. */
  readonly forged: () => string;
  readonly tokens: () => Promise<LoginToken[]>;
  /** Deletes all its tokens. */
  readonly deleteTokens: () => Promise<void>;
}

interface AuthMethodOptions {
  readonly name?: string;
  /** MaxTokenTTL; Consul's minimum is 1m. */
  readonly maxTokenTtl?: string;
  /** Of the role that its tokens get. */
  readonly rules: string;
}

/** An auth method as `nomad setup consul` makes it: workload identities, a role by namespace, and none that may write. */
export async function createAuthMethod(
  consul: Consul,
  { name = "nomad-workloads", maxTokenTtl, rules }: AuthMethodOptions,
): Promise<AuthMethod> {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const claims = ["nomad_namespace", "nomad_job_id", "nomad_task", "nomad_service"];
  const method = {
    Name: name,
    Type: "jwt",
    ...(maxTokenTtl !== undefined && { MaxTokenTTL: maxTokenTtl }),
    Config: {
      JWTValidationPubKeys: [publicKey.export({ type: "spki", format: "pem" })],
      JWTSupportedAlgs: ["ES256"],
      BoundAudiences: ["consul.io"],
      ClaimMappings: Object.fromEntries(claims.map((claim) => [claim, claim])),
    },
  };
  const put = async (path: string, body: object) => {
    const { status, body: said } = await consul.request("PUT", path, body);
    if (status !== 200) throw new Error(`PUT ${path}: ${status} ${String(said)}`);
  };
  await put("/v1/acl/policy", { Name: `${name}-tasks`, Rules: rules });
  await put("/v1/acl/role", { Name: `${name}-tasks-default`, Policies: [{ Name: `${name}-tasks` }] });
  const create = async () => {
    await put("/v1/acl/auth-method", method);
    await put("/v1/acl/binding-rule", {
      AuthMethod: name,
      BindType: "role",
      BindName: `${name}-tasks-\${value.nomad_namespace}`,
    });
  };
  await create();
  const payload = (more: object) => {
    const now = Math.floor(Date.now() / 1000);
    const identity = { nomad_namespace: "default", nomad_job_id: "svc", nomad_task: "srv-epmd" };
    return { aud: ["consul.io"], iat: now, nbf: now - 5, exp: now + 3600, ...identity, ...more };
  };
  const tokens = async () => {
    const { body } = await consul.request("GET", "/v1/acl/tokens");
    return (body as (LoginToken & { AuthMethod?: string })[]).filter(({ AuthMethod }) => AuthMethod === name);
  };
  return {
    name,
    create,
    remove: async () => {
      await consul.request("DELETE", `/v1/acl/auth-method/${name}`);
    },
    jwt: (more = {}) => sign(payload(more), privateKey),
    forged: () => sign(payload({}), generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey),
    tokens,
    deleteTokens: async () => {
      for (const { AccessorID } of await tokens()) await consul.request("DELETE", `/v1/acl/token/${AccessorID}`);
    },
  };
}

/** RFC 7515, ES256. */
function sign(payload: object, key: KeyObject): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "ES256", typ: "JWT" })}.${part(payload)}`;
  const signature = createSign("SHA256").update(signed).sign({ key, dsaEncoding: "ieee-p1363" });
  return `${signed}.${signature.toString("base64url")}`;
}
