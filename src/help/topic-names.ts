/** The topics of the manual in the order in which they are listed: each is the file of that name beside this one. */
export const TOPIC_NAMES = [
  "start",
  "host",
  "module",
  "gateway",
  "rabbitmq",
  "connect",
  "mesh",
  "nomad",
  "catalogues",
  "commands",
  "resolve",
  "doctor",
  "cluster",
  "status",
  "options",
  "resolution",
  "publication",
  "protocol",
  "packaging",
  "library",
  "security",
  "limits",
] as const;

export type TopicName = (typeof TOPIC_NAMES)[number];
