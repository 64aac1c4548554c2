/**
 * One worker runs all test files, for loading Effect anew for each would take most of the time. What is mutated is loaded
 * anew, and with it all state that it keeps.
 */
import * as FastCheck from "effect/FastCheck"
import { inject } from "vitest"

interface Worker {
  readonly __vitest_worker__: { readonly moduleCache: Map<string, unknown> }
  readonly __stryker__?: { activeMutant?: string | undefined }
}

const { __stryker__, __vitest_worker__ } = globalThis as unknown as Worker

for (const name of [...__vitest_worker__.moduleCache.keys()]) {
  if (name.includes("/src/")) __vitest_worker__.moduleCache.delete(name)
}

// A mutant that is only for the time of tests must not stay for the next file to be loaded with.
const activation: unknown = inject("mutantActivation" as never)
if (__stryker__ !== undefined && activation !== "static") __stryker__.activeMutant = undefined

// The same few examples for every mutant: what kills one today kills it tomorrow.
FastCheck.configureGlobal({ seed: 1, numRuns: 20 })
