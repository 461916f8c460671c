interface Weighted {
  /** Lower first. */
  readonly priority: number;
  readonly weight: number;
}

/**
 * The order in which SRV records are to be tried: by priority, within one priority weighted random (RFC 2782).
 * @param random gives a number in [0, 1)
 */
export function orderSrv<T extends Weighted>(records: readonly T[], random: () => number): T[] {
  const priorities = Array.from(new Set(records.map((record) => record.priority))).sort((a, b) => a - b);
  return priorities.flatMap((priority) => {
    const remaining = records.filter((record) => record.priority === priority);
    // RFC 2782: records of weight 0 are placed at the beginning, where the number 0 picks them.
    remaining.sort((a, b) => Number(a.weight > 0) - Number(b.weight > 0));
    const ordered: T[] = [];
    while (remaining.length > 0) ordered.push(...remaining.splice(pickByWeight(remaining, random), 1));
    return ordered;
  });
}

/** Index of the record whose running sum of weights is the first to reach a random number. */
function pickByWeight(records: readonly Weighted[], random: () => number): number {
  const sum = records.reduce((total, record) => total + record.weight, 0);
  // Weights that say nothing: any order will do (RFC 2782), so each is as likely as the next.
  if (sum === 0) return Math.floor(random() * records.length);
  // RFC 2782 draws from 0 to the sum. The number 0 belongs to the records of weight 0; where there are none, it would
  // give the first record more than its share (2/3 of two equal ones), so the draw starts at 1.
  const lowest = records[0]?.weight === 0 ? 0 : 1;
  const drawn = lowest + Math.floor(random() * (sum + 1 - lowest));
  let running = 0;
  return records.findIndex((record) => {
    running += record.weight;
    return running >= drawn;
  });
}
