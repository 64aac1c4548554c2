/** The names of the options of a key set that is fetched, but for where it is. */
export const remoteOptions = { algorithms: true, freshFor: true, usableFor: true, cooldown: true } as const
