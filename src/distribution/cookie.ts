import { createHash } from "node:crypto";
import { ConfigError, describeError } from "../errors.js";
import { MEBIBYTE, readBounded } from "../os/files.js";

/** The cookie of a cluster. No text can be made of it: it is in no output, whoever prints the value that holds it. */
export class Cookie {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** dist_util:gen_digest/2: MD5 of the cookie and the challenge in decimal digits; 16 octets. @param challenge 32 bits */
  digest(challenge: number): Buffer {
    return createHash("md5").update(`${this.#text}${challenge}`, "latin1").digest();
  }
}

export interface CookieSettings {
  readonly cookieFile: string | undefined;
  /** Name of a variable. */
  readonly cookieEnv: string | undefined;
}

/**
 * The cookie of `--cookie-file` or `--cookie-env`; undefined: none is given. No error has its text, nor what was given as
 * the name of a variable, which may be the cookie itself by mistake.
 * @throws ConfigError CONFIG_VALUE
 */
export async function readCookie(
  { cookieFile, cookieEnv }: CookieSettings,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Cookie | undefined> {
  if (cookieFile !== undefined) {
    const text = await readBounded(cookieFile, { limit: MEBIBYTE, orPipe: true }).catch((error: unknown) => {
      throw new ConfigError("CONFIG_VALUE", `--cookie-file: cannot use ${cookieFile}: ${describeError(error)}`);
    });
    return cookieOf(text, `--cookie-file: ${cookieFile}`);
  }
  if (cookieEnv === undefined) return undefined;
  const text = env[cookieEnv];
  if (text === undefined) {
    throw new ConfigError(
      "CONFIG_VALUE",
      "--cookie-env: there is no variable of that name; give the name, not the cookie",
    );
  }
  return cookieOf(text, "--cookie-env: the variable");
}

/** As auth:check_cookie/2 reads ~/.erlang.cookie: visible ASCII and blanks, with line ends behind it. */
function cookieOf(contents: string, where: string): Cookie {
  const text = contents.replace(/[\r\n]+$/, "");
  if (text === "") throw new ConfigError("CONFIG_VALUE", `${where} is empty: it must hold the cookie`);
  if (!/^[ -~]{1,255}$/.test(text)) {
    const right = "at most 255 characters of ASCII on one line, as in ~/.erlang.cookie";
    throw new ConfigError("CONFIG_VALUE", `${where} holds no cookie: that is ${right}`);
  }
  return new Cookie(text);
}
