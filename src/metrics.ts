import * as Metric from "effect/Metric"

/** Verdicts at the edge: `accepted`, or the tag of the rejection. */
export const verdicts = Metric.frequency("oauth_token_verdicts", {
  description: "Verdicts on requests: accepted, or the tag of the rejection"
})

/** What the signature cache knew of a token: `hit` or `miss`. */
export const cacheLookups = Metric.frequency("oauth_signature_cache_lookups", {
  description: "Tokens whose signature was known to hold (hit), and others (miss)"
})

/** How fetches of key sets went: `loaded` or `failed`; or that one was asked for within the cooldown: `suppressed`. */
export const keySetRefreshes = Metric.frequency("oauth_key_set_refreshes", {
  description: "Fetches of key sets by outcome: loaded, failed, suppressed"
})
