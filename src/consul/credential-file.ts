import { ConsulError, describeError } from "../errors.js";
import { MEBIBYTE, readBounded } from "../os/bounded-file.js";

/** The cause of a ConsulError when the agent was not asked at all. */
export class UnreadableFile extends Error {}

/**
 * @param what of which file the error shall speak: "token", "client key"
 * @throws ConsulError CONSUL_UNAVAILABLE, caused by UnreadableFile: the file may be there at the next try
 */
export async function readCredential(path: string, what: string): Promise<string> {
  try {
    return await readBounded(path, { limit: MEBIBYTE });
  } catch (error) {
    const message = `the ${what} file cannot be read: ${describeError(error)}`;
    throw new ConsulError("CONSUL_UNAVAILABLE", message, { cause: new UnreadableFile(message, { cause: error }) });
  }
}
