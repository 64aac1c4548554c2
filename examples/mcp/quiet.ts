/**
 * Hides the warnings of `oidc-provider`. They tell that it keeps everything in memory, uses defaults, and runs on an
 * older Node. All that is meant here, and the warnings would stand in the midst of the output.
 */
for (const level of ["info", "warn"] as const) {
  const write = console[level]
  console[level] = (...args: ReadonlyArray<unknown>) => {
    if (!String(args[0]).includes("oidc-provider ")) write(...args)
  }
}
