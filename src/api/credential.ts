import { describeError } from "../errors.js";
import { MEBIBYTE, readBounded } from "../os/files.js";

/** An API was not asked at all, because a file of its token or of TLS cannot be read. */
export class UnreadableFile extends Error {}

/**
 * @param what names the file in the error: "token", "client key"
 * @throws UnreadableFile; the file may be there at the next try
 */
export async function readCredential(path: string, what: string): Promise<string> {
  try {
    return await readBounded(path, { limit: MEBIBYTE });
  } catch (error) {
    throw new UnreadableFile(`the ${what} file cannot be read: ${describeError(error)}`, { cause: error });
  }
}
