# What the token of srv-epmd needs. One such block for each service that nodes are published under:
service "svc-dist" {
  policy = "write"
}

# To see the nodes on other machines: SRV_EPMD_CONNECT, and srv-epmd names --match.
node_prefix "" {
  policy = "read"
}
