/**
 * The tests that mutants are run against: those that decide by what src does, and quickly.
 */
import { Tinypool } from "tinypool"
import { statSync } from "node:fs"
import { configDefaults, defineConfig, mergeConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"
import base from "../../vitest.config.ts"

/**
 * Vitest ends its worker after each run, that is after each mutant, and half a minute of warming up would be a minute of
 * tests. One worker lasts for some mutants instead; setup.ts clears what they could leave to each other.
 */
const mutantsPerWorker = 25
const recycle = Tinypool.prototype.recycleWorkers
let runs = 0
Tinypool.prototype.recycleWorkers = async function (options) {
  // Also after the first run, which only records what covers what: a mutant would not reach what that run has loaded.
  if (runs % mutantsPerWorker === 0) await recycle.call(this, options)
  runs += 1
}

/** Short files first: most mutants are killed by the tests of their own module, which are quick. */
class ShortestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>) {
    const size = ({ moduleId }: TestSpecification) => statSync(moduleId).size
    return [...files].sort((one, other) => size(one) - size(other))
  }
}

export default mergeConfig(
  base,
  defineConfig({
    test: {
      pool: "threads",
      isolate: false,
      sequence: { sequencer: ShortestFirst },
      setupFiles: ["test/mutation/setup.ts"],
      exclude: [...configDefaults.exclude, "**/*.slow.test.ts"],
      // A mutant that waits for ever is killed sooner than by the 60 seconds that are right elsewhere.
      testTimeout: 10_000,
      hookTimeout: 10_000
    }
  })
)
