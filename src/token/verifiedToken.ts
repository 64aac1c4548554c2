import * as Effect from "effect/Effect"
import { ClaimInvalid } from "../TokenError.ts"
import type { Claimed, Claims } from "./claims.ts"
import type { ScopeHierarchy } from "../resource/ScopeHierarchy.ts"

/** A verified access token, as handlers read it. */
export interface VerifiedToken {
  readonly claims: Claims
  /** `iss`. A user is a pair of issuer and subject, never the subject alone. */
  readonly issuer?: string | undefined
  /** `sub`. For a token of the client credentials grant this may be the client itself. */
  readonly subject?: string | undefined
  /** `client_id`, else `azp`. */
  readonly clientId?: string | undefined
  /** The scopes as the issuer wrote them. `requireScopes` knows what they imply. */
  readonly scopes: ReadonlySet<string>
  /** What scopes imply at this resource. `BearerAuth` puts it here, so that each door and each handler knows it. */
  readonly scopeHierarchy?: ScopeHierarchy | undefined
  /** `exp`, in seconds since 1970. */
  readonly expiresAt?: number | undefined
}

/**
 * Reads what a token claims as a `VerifiedToken`; the client id is the first of these claims that is there. Fails with
 * `ClaimInvalid` if `iss`, `sub`, `jti` or one of these claims is there but is not a string.
 */
export const verifiedToken = (
  { claims, scopes }: Claimed,
  clientIdClaims: ReadonlyArray<string>
): Effect.Effect<VerifiedToken, ClaimInvalid> => {
  // Each claim is read by its name and not in a loop: each new token passes here.
  const { exp, iss, jti, sub } = claims
  if (!isText(iss)) return notText("iss")
  if (!isText(sub)) return notText("sub")
  let clientId: string | undefined
  for (const name of clientIdClaims) {
    const claim = claims[name]
    if (!isText(claim)) return notText(name)
    clientId ??= claim
  }
  if (!isText(jti)) return notText("jti")
  const expiresAt = typeof exp === "number" ? exp : undefined
  return Effect.succeed({ claims, issuer: iss, subject: sub, clientId, scopes, expiresAt })
}

const isText = (claim: unknown): claim is string | undefined => claim === undefined || typeof claim === "string"

const notText = (claim: string) => new ClaimInvalid({ claim, reason: "is not a string" })
