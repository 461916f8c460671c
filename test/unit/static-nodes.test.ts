import { expect, test } from "vitest";
import { ValueError } from "../../src/config/values.js";
import { parseNodesFile } from "../../src/resolve/local-sources.js";

test("a nodes file has an entry a line; blank lines and comments do not count", () => {
  const entries = parseNodesFile(
    "# all of them\r\n\r\n a@svc=10.0.0.1:9100  # the first\n\t\n#b@svc=10.0.0.9:1\nb@svc=[fd00::7]:9200",
  );
  expect(entries).toMatchObject([
    { aliveName: "a", address: "10.0.0.1", port: 9100 },
    { aliveName: "b", address: "fd00::7", port: 9200 },
  ]);
  expect(parseNodesFile("")).toEqual([]);
});

test("what is none is told with its line", () => {
  const wrong = () => parseNodesFile("a@svc=10.0.0.1:9100\n\n  b@svc  # no place");
  expect(wrong).toThrow(ValueError);
  expect(wrong).toThrow(/^line 3: "b@svc" must be written name@host=address:port/);
});
