/**
 * Runs what makes errors, without a stack trace in any of them. A rejection is an answer to a request and not a defect.
 *
 * Measured: PRICE
 * Where `Error` is frozen, as hardened programs do, the limit cannot be set and the errors have their traces.
 */
export const withoutStackTraces = <A>(run: () => A): A => {
  const limit = Error.stackTraceLimit
  // `Reflect.set` returns false where an assignment would throw.
  Reflect.set(Error, "stackTraceLimit", 0)
  try {
    return run()
  } finally {
    Reflect.set(Error, "stackTraceLimit", limit)
  }
}
