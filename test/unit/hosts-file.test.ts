import { expect, test } from "vitest";
import { addressesInHosts, hostsEntriesIn, linesInHosts } from "../../src/os/core/hosts-file.js";

const HOSTS = `
# Debian's default
127.0.0.1	localhost
127.0.1.1	box.example.org	box   # the machine itself
::1     localhost ip6-localhost
10.0.0.7 Box
10.0.0.7 box
nonsense box
fe80::1%eth0 link
fd00:0::7 box
`;

test("a name in a hosts file has the addresses of all its lines, whatever its case", () => {
  expect(addressesInHosts(HOSTS, "BOX")).toEqual(["127.0.1.1", "10.0.0.7", "fd00::7"]);
  expect(addressesInHosts(HOSTS, "box.example.org")).toEqual(["127.0.1.1"]);
  expect(addressesInHosts(HOSTS, "localhost")).toEqual(["127.0.0.1", "::1"]);
});

test("a name that is part of others, or is in a comment, is found where it stands alone", () => {
  const text = "10.0.0.1 db10 xdb1\n10.0.0.2 other # db1\n10.0.0.3 db1.example db1\n10.0.0.4\tdb1";
  expect(addressesInHosts(text, "db1")).toEqual(["10.0.0.3", "10.0.0.4"]);
});

test("comments, addresses and parts of names are no names", () => {
  for (const name of ["itself", "127.0.0.1", "example.org", "", "#"]) expect(addressesInHosts(HOSTS, name)).toEqual([]);
});

test("the hosts of a range are those with an address in it, in either form, each pair once, odd names passed over", () => {
  const text = `127.64.0.1 A.example a.example. b   # c
::ffff:127.64.0.1 a.example
127.64.0.2 a.example
127.63.0.1 out.example
127.128.0.0 out.example
::1 a.example
  127.64.0.3\tw/x -x 10.0.0.1 d.example\r
#127.64.0.4 e.example
127.64.0.4
`;
  expect(hostsEntriesIn(text, { bytes: [127, 64, 0, 0], prefix: 10 })).toEqual([
    { host: "a.example", address: "127.64.0.1" },
    { host: "b", address: "127.64.0.1" },
    { host: "a.example", address: "127.64.0.2" },
    { host: "d.example", address: "127.64.0.3" },
  ]);
});

test("the lines of a name are told by their numbers, and no line of a name that only contains it", () => {
  const text =
    "127.0.0.1 localhost\n\n10.0.0.9 Svc.test other # svc.test\nfd00::9 svc.test\n10.0.0.1 xsvc.test\n#10.0.0.2 svc.test";
  expect(linesInHosts(text, "svc.TEST")).toEqual([
    { line: 3, address: "10.0.0.9" },
    { line: 4, address: "fd00::9" },
  ]);
  expect(linesInHosts("", "svc.test")).toEqual([]);
});
