import { expect, test } from "vitest";
import { addressesInHosts } from "../../src/core/hosts-file.js";

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

test("comments, addresses and parts of names are no names", () => {
  for (const name of ["itself", "127.0.0.1", "example.org", "", "#"]) expect(addressesInHosts(HOSTS, name)).toEqual([]);
});
