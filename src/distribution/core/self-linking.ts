/** What decides whether a node is linked with the others of its cluster without a program that connects them. */
export interface LinkTraits {
  /** A hidden node (`-hidden`), as C nodes are. */
  readonly hidden: boolean;
  /** `connect_all` of kernel; undefined: it is not known. */
  readonly connectAll?: boolean | undefined;
  /** `dist_auto_connect` of kernel; undefined: it is not set, or not known. */
  readonly autoConnect?: "never" | "once" | undefined;
}

/**
 * Whether two nodes of one cluster are linked by themselves. Global connects each visible node with all others
 * (connect_all); it takes no notice of hidden nodes, and a node with `dist_auto_connect never` dials nobody. With `once`
 * it does so the first time. What is not known is as OTP has it without an option.
 */
export function areLinkedByThemselves(one: LinkTraits, other: LinkTraits): boolean {
  return isLinkedByItself(one) && isLinkedByItself(other);
}

/** Whether a node is linked by itself with those of its kind. */
export function isLinkedByItself({ hidden, connectAll = true, autoConnect }: LinkTraits): boolean {
  return !hidden && connectAll && autoConnect !== "never";
}
