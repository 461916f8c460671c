/**
 * Alive names of VMs that live for one command and register like any node (type 77, even with --hidden).
 * Each pattern is anchored: a node that only resembles one stays public.
 */
const HELPERS: readonly RegExp[] = [
  // Elixir releases: `rpc`, `pid` and `stop` start rpc-<hex>-<name>, `remote` rem-<hex>-<name>.
  /^(rpc|rem)-[0-9a-f]{1,8}-/i,
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
];

export function isHelperName(aliveName: string): boolean {
  return HELPERS.some((pattern) => pattern.test(aliveName));
}
