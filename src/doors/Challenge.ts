/**
 * The answer to a rejection: status, headers and a small body (RFC 6750 section 3, RFC 9728 section 5.1).
 */
import { isScope } from "../resource/scope.ts"
import type { ProtectedResource } from "../resource/ProtectedResource.ts"
import { narrowest } from "../resource/ScopeHierarchy.ts"
import { answers, type TokenError } from "../TokenError.ts"

/** What a door answers to a rejection. */
export interface Challenge {
  readonly status: 400 | 401 | 403 | 503
  readonly headers: Readonly<Record<string, string>>
  /** A JSON object: `error_description`, and `error` and `resource_metadata` where the challenge has them. */
  readonly body: string
}

/**
 * The answer to a rejection at this resource.
 *
 * `scopes` are those that the operation needs besides the resource's own; a challenge names them all at once,
 * but for those that another of them implies, or that are no scopes: a handler may make names of what it was sent. Of
 * more than 4,096 characters of them the rest is left out. The order of the parameters is fixed: `resource_metadata`,
 * `scope`, `error`, `error_description`. Nothing else varies. `VerificationUnavailable` is answered with `Retry-After` and no
 * challenge: a client must keep its token.
 */
export const make = (
  error: TokenError,
  resource: Pick<ProtectedResource["Type"], "metadataUrl" | "challengeScopes" | "scopeHierarchy">,
  scopes: ReadonlyArray<string> = []
): Challenge => {
  const { code, description, status } = answers[error._tag]
  if (error._tag === "VerificationUnavailable") {
    return {
      status,
      headers: { ...always, "retry-after": String(error.retryAfter) },
      body: JSON.stringify({ error: "temporarily_unavailable", error_description: description })
    }
  }
  const named = narrowest([...resource.challengeScopes, ...scopes.filter(isScope)], resource.scopeHierarchy)
  const scope = listOf(named)
  const parameters = [
    `resource_metadata="${resource.metadataUrl}"`,
    scope !== "" && `scope="${scope}"`,
    code !== undefined && `error="${code}"`,
    code !== undefined && `error_description="${description}"`
  ].filter((parameter) => parameter !== false)
  return {
    status,
    headers: { ...always, "www-authenticate": `Bearer ${parameters.join(", ")}` },
    body: JSON.stringify({ error: code, error_description: description, resource_metadata: resource.metadataUrl })
  }
}

/** The most characters of scopes in one challenge. Clients refuse responses whose headers are over 8 or 16 KiB. */
const maxScopeLength = 4096

/** As many of the scopes, in their order, as fit. */
const listOf = (scopes: ReadonlyArray<string>): string => {
  let list = ""
  for (const scope of scopes) {
    const longer = list === "" ? scope : `${list} ${scope}`
    if (longer.length <= maxScopeLength) list = longer
  }
  return list
}

/** The headers of a rejection that a page of another origin needs, and can read only if they are named. */
export const exposedHeaders = ["WWW-Authenticate", "Retry-After"] as const

const always = {
  "cache-control": "no-store",
  "content-type": "application/json",
  "access-control-expose-headers": exposedHeaders.join(", ")
}
