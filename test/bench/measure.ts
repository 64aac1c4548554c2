/**
 * Measures in interleaved rounds. All contenders run in each round, so that other load on the machine affects them equally. Their
 * order changes, so that none always runs after the same other one. The result is the median of the ratios of all rounds.
 */

/** One way to do the work of a round. The promise resolves when the work is done. */
export type Contender = (round: number) => void | Promise<void>

/** The microseconds of wall time and of processor time per operation of a contender, one number for each round. */
export interface Taken {
  readonly wall: ReadonlyArray<number>
  readonly cpu: ReadonlyArray<number>
}

/** Runs every contender in every round. The first rounds are a warm-up and do not count. */
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
      // Otherwise a contender would collect the garbage of the one before.
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

/** The ratios of two contenders in all rounds: the median, and the bounds of the middle half. */
export interface Ratio {
  readonly median: number
  readonly low: number
  readonly high: number
}

export const ratio = (one: ReadonlyArray<number>, other: ReadonlyArray<number>): Ratio => {
  const ratios = one.map((value, round) => value / other[round]!)
  return { median: median(ratios), low: quantile(ratios, 0.25), high: quantile(ratios, 0.75) }
}
