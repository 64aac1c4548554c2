import * as Metric from "effect/Metric"

/** Decisions about requests: `accepted`, or the tag of the rejection. */
export const decisions = Metric.frequency("oauth_token_decisions", {
  description: "Decisions about requests: accepted, or the tag of the rejection"
})

/** Look-ups of tokens in the signature cache: `hit` where the signature had been verified before, else `miss`. */
export const cacheLookups = Metric.frequency("oauth_signature_cache_lookups", {
  description: "Tokens whose signature had been verified before (hit), and others (miss)"
})

/** Fetches of key sets: `loaded`, `failed`, or `suppressed` where the cooldown did not allow one. */
export const keySetRefreshes = Metric.frequency("oauth_key_set_refreshes", {
  description: "Fetches of key sets by outcome: loaded, failed, suppressed by the cooldown"
})
