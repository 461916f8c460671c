import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { AclToken } from "../../src/consul/token.js";
import { collectLog } from "../support/log-lines.js";
import { temporaryFolder } from "../support/temporary.js";

test("a token that is written while refused calls look for it is announced once, whichever of them finds it", async () => {
  const tokenFile = join(await temporaryFolder("token"), "token");
  // Where in the looks the writing falls is luck: many rounds.
  for (let round = 0; round < 200; round++) {
    await writeFile(tokenFile, "old");
    const { log } = collectLog();
    const token = new AclToken({ tokenFile, log });
    let announced = 0;
    token.onNew(() => announced++);
    expect(await token.read()).toBe("old");
    const refused = Array.from({ length: 8 }, () => token.afterRefusal("old"));
    await Promise.all([...refused.slice(0, 4), writeFile(tokenFile, "new"), ...refused.slice(4)]);
    // The next call that is refused, as the audits' are.
    expect(await token.afterRefusal("old")).toBe("new");
    expect({ round, announced }).toEqual({ round, announced: 1 });
  }
});
