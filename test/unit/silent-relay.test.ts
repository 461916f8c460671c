import { expect, test } from "vitest";
import { silentRelayAdvice } from "../../src/relay/core/silent-relay.js";

test.each([
  ["the folder /run/srv-epmd is open to other users (mode 755): chmod 700 it", /^chmod 700 \/run\/srv-epmd, or give/],
  ["the folder /run/srv-epmd belongs to user 7, not to ours (0)", /^give serve and relay another --relay-socket/],
  ["the folder /dev/null cannot be used: ENOTDIR", /^give serve and relay another --relay-socket/],
  ["/dev/null is no folder", /^give serve and relay another --relay-socket/],
  [
    "nothing answers at /run/x.sock, and serve starts no relay process here",
    /^start .*: srv-epmd relay --relay-socket \/run\/x\.sock$/,
  ],
  ["connect ENOENT /run/srv-epmd/relay.sock", /^start srv-epmd relay/],
])("a relay process that does not answer (%s): the folder before a start that it would refuse", (said, advice) => {
  expect(silentRelayAdvice(`the relay process does not answer: ${said}`)).toMatch(advice);
});
