/**
 * The least of several measurements in milliseconds: a machine that is busy elsewhere makes one late, never one early.
 * @param measure given the number of the round, from 0
 */
export async function bestOf(rounds: number, measure: (round: number) => Promise<number>): Promise<number> {
  let best = Infinity;
  for (let round = 0; round < rounds; round++) best = Math.min(best, await measure(round));
  return best;
}
