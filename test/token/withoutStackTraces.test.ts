import { describe, expect, it } from "vitest"
import { TokenMissing } from "../../src/TokenError.ts"
import { withoutStackTraces } from "../../src/token/withoutStackTraces.ts"

const frames = (error: Error) => error.stack?.match(/\n +at /g)?.length ?? 0

describe("withoutStackTraces", () => {
  it("makes errors without a stack trace, and only those", () => {
    expect(frames(withoutStackTraces(() => new TokenMissing()))).toBe(0)
    expect(frames(new TokenMissing())).toBeGreaterThan(0)
  })

  it("sets the limit back where the function throws, and throws the same", () => {
    const before = Error.stackTraceLimit
    const broken = new Error("broken")
    const run = () =>
      withoutStackTraces(() => {
        throw broken
      })
    expect(run).toThrow(broken)
    expect(Error.stackTraceLimit).toBe(before)
  })

  it("runs also where the limit cannot be changed, as where Error is frozen", () => {
    const before = Object.getOwnPropertyDescriptor(Error, "stackTraceLimit")!
    Object.defineProperty(Error, "stackTraceLimit", { writable: false })
    try {
      expect(frames(withoutStackTraces(() => new TokenMissing()))).toBeGreaterThan(0)
    } finally {
      Object.defineProperty(Error, "stackTraceLimit", before)
    }
  })
})
