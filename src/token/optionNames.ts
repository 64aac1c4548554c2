/** The names of the options of a verifier of JWTs. */
export const jwtOptions = {
  issuer: true,
  tokenTypes: true,
  acceptMissingType: true,
  accessTokenClaims: true,
  requiredClaims: true,
  checks: true,
  acceptedAudiences: true,
  clockTolerance: true,
  signatureCacheEntries: true,
  signatureCacheBytes: true,
  maxTokenLength: true,
  registrationHint: true
} as const
