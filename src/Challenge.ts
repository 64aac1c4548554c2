/**
 * The answer to a rejection: status and headers, nothing else (RFC 6750 section 3, RFC 9728 section 5.1).
 */
import { isScope } from "./internal/scopeList.ts"
import type { ProtectedResource } from "./ProtectedResource.ts"
import { narrowest } from "./ScopeHierarchy.ts"
import { answers, type TokenError } from "./TokenError.ts"

/** What the HTTP edge answers. There is no body. */
export interface Challenge {
  readonly status: 400 | 401 | 403 | 503
  readonly headers: Readonly<Record<string, string>>
}

/**
 * The answer to a rejection at this resource.
 *
 * `scopes` are those that the operation needs besides the resource's own; a challenge names them all at once,
 * but for those that another of them implies, or that are no scopes: a handler may make names of what it was sent. The
 * order of the parameters is fixed: `resource_metadata`, `scope`, `error`, `error_description`. Nothing else varies.
 * `VerificationUnavailable` is answered with `Retry-After` and no challenge: a client must keep its token.
 */
export const make = (
  error: TokenError,
  resource: Pick<ProtectedResource["Type"], "metadataUrl" | "challengeScopes" | "scopeHierarchy">,
  scopes: ReadonlyArray<string> = []
): Challenge => {
  const { code, description, status } = answers[error._tag]
  if (error._tag === "VerificationUnavailable") {
    return { status, headers: { ...always, "retry-after": String(error.retryAfter) } }
  }
  const scope = narrowest([...resource.challengeScopes, ...scopes.filter(isScope)], resource.scopeHierarchy).join(" ")
  const parameters = [
    `resource_metadata="${resource.metadataUrl}"`,
    scope !== "" && `scope="${scope}"`,
    code !== undefined && `error="${code}"`,
    description !== undefined && `error_description="${description}"`
  ].filter((parameter) => parameter !== false)
  return { status, headers: { ...always, "www-authenticate": `Bearer ${parameters.join(", ")}` } }
}

const always = {
  "cache-control": "no-store",
  // A page of another origin may read a header only if it is named here; without the challenge it cannot find its way.
  "access-control-expose-headers": "WWW-Authenticate, Retry-After"
}
