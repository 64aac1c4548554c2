/**
 * `oidc-provider` warns whoever would run it in production like this: in memory, with defaults, on any Node. Here that is
 * the point, and the warnings would stand in the story.
 */
for (const level of ["info", "warn"] as const) {
  const write = console[level]
  console[level] = (...args: ReadonlyArray<unknown>) => {
    if (!String(args[0]).includes("oidc-provider ")) write(...args)
  }
}
