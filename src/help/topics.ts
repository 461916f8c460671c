import catalogues from "./catalogues.md";
import cluster from "./cluster.md";
import commands from "./commands.md";
import connect from "./connect.md";
import doctor from "./doctor.md";
import gateway from "./gateway.md";
import host from "./host.md";
import library from "./library.md";
import limits from "./limits.md";
import mesh from "./mesh.md";
import module from "./module.md";
import nomad from "./nomad.md";
import options from "./options.md";
import packaging from "./packaging.md";
import protocol from "./protocol.md";
import publication from "./publication.md";
import rabbitmq from "./rabbitmq.md";
import resolution from "./resolution.md";
import resolve from "./resolve.md";
import security from "./security.md";
import start from "./start.md";
import status from "./status.md";
import type { TopicName } from "./topic-names.js";

/** The texts of the manual. They are 60 KB, so only `help` loads them. */
export const TOPICS: Readonly<Record<TopicName, string>> = {
  start,
  host,
  module,
  gateway,
  rabbitmq,
  connect,
  mesh,
  nomad,
  catalogues,
  commands,
  resolve,
  doctor,
  cluster,
  status,
  options,
  resolution,
  publication,
  protocol,
  packaging,
  library,
  security,
  limits,
};
