/** The names of the options of a resource, but for its issuers, which presets know themselves. */
export const resourceOptions = {
  baseUrl: true,
  path: true,
  resourceBaseUrl: true,
  requiredScopes: true,
  scopesSupported: true,
  challengeScopes: true,
  scopeHierarchy: true,
  resourceName: true,
  resourceDocumentation: true
} as const
