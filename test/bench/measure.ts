/**
 * Interleaved rounds: contenders take turns, so that what the machine does meanwhile strikes them all alike, and in
 * another order each time, so that none always runs in what the same other left behind; what is reported is the median of
 * each round's ratios.
 */

/** One way to do a round's work; resolves when it is done. */
export type Contender = (round: number) => void | Promise<void>

/** What a contender took, per operation: microseconds of wall time and of processor time, a number for each round. */
export interface Taken {
  readonly wall: ReadonlyArray<number>
  readonly cpu: ReadonlyArray<number>
}

/** Runs every contender in every round. The first rounds are for warming up and do not count. */
export const interleave = async <Name extends string>(
  contenders: Readonly<Record<Name, Contender>>,
  { operations, rounds, warmUp = 3 }: { readonly operations: number; readonly rounds: number; readonly warmUp?: number }
): Promise<Readonly<Record<Name, Taken>>> => {
  const names = Object.keys(contenders) as Array<Name>
  const taken = Object.fromEntries(names.map((name) => [name, { wall: [], cpu: [] }])) as unknown as Record<
    Name,
    { wall: Array<number>; cpu: Array<number> }
  >
  for (let round = 0; round < rounds + warmUp; round++) {
    for (const name of shuffled(names)) {
      // Nobody collects what another left.
      globalThis.gc?.({ type: "minor", execution: "sync" })
      const cpu = process.cpuUsage()
      const start = process.hrtime.bigint()
      await contenders[name](round)
      const wall = Number(process.hrtime.bigint() - start) / 1000
      const { system, user } = process.cpuUsage(cpu)
      if (round < warmUp) continue
      taken[name].wall.push(wall / operations)
      taken[name].cpu.push((user + system) / operations)
    }
  }
  return taken
}

export const shuffled = <A>(all: ReadonlyArray<A>): ReadonlyArray<A> => {
  const left = [...all]
  return all.map(() => left.splice(Math.floor(Math.random() * left.length), 1)[0]!)
}

export const median = (values: ReadonlyArray<number>): number => quantile(values, 0.5)

const quantile = (values: ReadonlyArray<number>, at: number): number => {
  const sorted = [...values].sort((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * at))] ?? Number.NaN
}

/** The rounds' ratios of two contenders: the median, and the middle half. */
export interface Ratio {
  readonly median: number
  readonly low: number
  readonly high: number
}

export const ratio = (one: ReadonlyArray<number>, other: ReadonlyArray<number>): Ratio => {
  const ratios = one.map((value, round) => value / other[round]!)
  return { median: median(ratios), low: quantile(ratios, 0.25), high: quantile(ratios, 0.75) }
}
