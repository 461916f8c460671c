/**
 * Alive names of VMs that live for one command and register like any node (type 77, even with --hidden).
 * Each pattern is anchored: a node that only resembles one stays public.
 */
const HELPERS: readonly RegExp[] = [
  // Elixir releases: `rpc`, `pid` and `stop` start rpc-<hex>-<name>, `remote` rem-<hex>-<name>; where an image has no awk
  // the digits are missing.
  /^(rpc|rem)-[0-9a-f]{0,8}-/i,
  // RabbitMQ's command line tools: rabbitmqcli-N-<node>.
  /^rabbitmqcli-[0-9]+-/,
  // RabbitMQ's boot: <name>_prelaunch_<pid>, and <name>_ctl_N of rabbit_env.
  /_prelaunch_[0-9]+$/,
  /_ctl_[0-9]+$/,
  // RabbitMQ at boot and every 60 s, to have an EPMD started.
  /^epmd-starter-[0-9]+$/,
  // relx's extended start script, before OTP 23.
  /^(remsh|maint|longname)[0-9a-f]+-/i,
  // ejabberdctl: three hexadecimal digits, then what the VM is for.
  /^[0-9a-f]{3}-(ctl|debug|ping|top)(-|$)/i,
  // ejabberdctl before OTP 23: N-N-ctl-<name>.
  /^[0-9]+-[0-9]+-(ctl|debug|ping)(-|$)/,
  // OTP's peer: peer-<unique integer>-<process id>. RabbitMQ 4 starts such peers by its own name to look for brokers.
  /^(peer|rabbit)-[1-9][0-9]*-[1-9][0-9]*$/,
];

/** Names of peer:random_name/1; `ip-10-0-0-12` and `shard-2-10` have the same form. */
const RANDOM_NAME = /^(.+)-[1-9][0-9]*-[1-9][0-9]*$/;

/**
 * Whether an alive name is that of a helper.
 * @param isAlive whether a node of that name is registered here: `n1-33-4711` is a helper only beside a node `n1`
 */
export function isHelperName(aliveName: string, isAlive: (aliveName: string) => boolean = () => false): boolean {
  const origin = RANDOM_NAME.exec(aliveName)?.[1];
  return HELPERS.some((pattern) => pattern.test(aliveName)) || (origin !== undefined && isAlive(origin));
}
