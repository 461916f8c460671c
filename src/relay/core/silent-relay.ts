/** What to do about a relay process that does not answer. @param reason what its client says, which may name its folder */
export function silentRelayAdvice(reason: string): string {
  const [, folder, fault] = /(\S+) (is open to other users|belongs to user|is no folder|cannot be)/.exec(reason) ?? [];
  if (fault === "is open to other users") {
    return `chmod 700 ${folder}, or give serve and relay another --relay-socket: until then both refuse the folder`;
  }
  if (fault !== undefined) return "give serve and relay another --relay-socket, in a folder of their user";
  const [, socket] = /nothing answers at (\S+), and serve starts no/.exec(reason) ?? [];
  if (socket !== undefined)
    return `start the unit or task of the relay process: srv-epmd relay --relay-socket ${socket}`;
  return "start srv-epmd relay where it is a unit or a task of its own, with the --relay-socket of serve; elsewhere restart srv-epmd serve, which starts it";
}
