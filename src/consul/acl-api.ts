import { ConsulError } from "../errors.js";
import { AgentAnswer, areAclsOff, type ConsulReply, type ConsulTransport, isUnknownToken } from "./transport.js";

/** Calls are made without a token: Consul's ACLs are off, and it wants none. */
export const ANONYMOUS = "";

/** What a login has given (POST /v1/acl/login). */
export interface Grant {
  /** SecretID, or ANONYMOUS */
  readonly token: string;
  /** Milliseconds for which Consul keeps the token; undefined: the auth method has no MaxTokenTTL. */
  readonly life: number | undefined;
}

/** The cause of a ConsulError when Consul has given no token for a JWT. */
export class LoginRefused extends Error {}

/** Consul's calls for logins. Each throws ConsulError. */
export interface AclApi {
  /**
   * A token for a JWT (POST /v1/acl/login); ANONYMOUS where Consul's ACLs are off.
   * @throws ConsulError CONSUL_UNAVAILABLE, caused by LoginRefused when Consul gives no token for the JWT
   */
  login(authMethod: string, jwt: string): Promise<Grant>;
  /** Ends a token that a login has given (POST /v1/acl/logout). CONSUL_FORBIDDEN: Consul does not know it. */
  logout(token: string): Promise<void>;
  /** Whether the servers know a token (GET /v1/acl/token/self). Every token may ask this. */
  knows(token: string): Promise<boolean>;
}

export function aclApi(transport: Pick<ConsulTransport, "send">): AclApi {
  return {
    login: async (authMethod, jwt) => {
      const body = { AuthMethod: authMethod, BearerToken: jwt };
      let reply: ConsulReply;
      try {
        reply = await transport.send({ method: "_post", path: "/acl/login", body, secret: jwt }, undefined);
      } catch (error) {
        if (!(error instanceof ConsulError && error.cause instanceof AgentAnswer)) throw error;
        if (areAclsOff(error)) return { token: ANONYMOUS, life: undefined };
        const said = error.cause.message;
        // Not its code: 404 would mean that the agent has no such service.
        if (isFromElsewhere(error.cause))
          throw new ConsulError("CONSUL_UNAVAILABLE", error.message, { cause: error.cause });
        throw refused(whyRefused(error, said, authMethod), said);
      }
      const grant = readGrant(reply.body);
      if (!grant) throw refused("the answer to the login holds no token: is --consul a Consul agent?", "no token");
      return grant;
    },
    logout: async (token) => {
      await transport.send({ method: "_post", path: "/acl/logout" }, token);
    },
    knows: async (token) => {
      try {
        // Any server answers, also while there is no leader.
        await transport.send({ method: "_get", path: "/acl/token/self", query: { stale: "" } }, token);
        return true;
      } catch (error) {
        if (error instanceof ConsulError && isUnknownToken(error)) return false;
        throw error;
      }
    },
  };
}

/**
 * Reads the answer to a login. Consul's clock may differ from ours, so its two times are compared with each other only.
 * Undefined: it is no such answer.
 */
function readGrant(body: unknown): Grant | undefined {
  if (typeof body !== "object" || body === null) return undefined;
  const { SecretID, CreateTime, ExpirationTime } = body as Readonly<Record<string, unknown>>;
  if (typeof SecretID !== "string" || SecretID === "") return undefined;
  const life = Date.parse(String(ExpirationTime)) - Date.parse(String(CreateTime));
  return { token: SecretID, life: life > 0 ? life : undefined };
}

/** Another program or path, too many requests, or a proxy without an agent. */
const NOT_OF_THE_METHOD = [404, 429, 502, 503, 504];
/** With status 500: there is no leader, or the server has ended meanwhile (Consul: agent/consul/rpc.go, agent/pool). */
const NO_LEADER = /No cluster leader|rpc error making call: (stream closed|EOF)/i;

/** Nobody has looked at the JWT. */
function isFromElsewhere({ status, message, meaning }: AgentAnswer): boolean {
  return NOT_OF_THE_METHOD.includes(status) || meaning === "no-server" || (status >= 500 && NO_LEADER.test(message));
}

/** @param said Consul's words */
function refused(why: string, said: string): ConsulError {
  return new ConsulError("CONSUL_UNAVAILABLE", `cannot log in to Consul: ${why}`, { cause: new LoginRefused(said) });
}

/** What an answer to a login means (Consul 1.8: agent/consul/acl_endpoint.go, Login). */
function whyRefused(error: ConsulError, said: string, authMethod: string): string {
  if (isUnknownToken(error)) {
    return `it has no auth method ${authMethod}: give --consul-auth-method the name of one (consul acl auth-method list)`;
  }
  if (error.code === "CONSUL_FORBIDDEN") {
    return `no binding rule of the auth method ${authMethod} gives this JWT a role or a service identity that exists (${said}): consul acl binding-rule list -method ${authMethod}`;
  }
  return `the auth method ${authMethod} gives no token for the JWT (${said})`;
}
