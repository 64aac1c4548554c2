import { extractWWWAuthenticateParams } from "@modelcontextprotocol/sdk/client/auth.js"
import { describe, expect, it } from "@effect/vitest"
import { Challenge, ProtectedResource, TokenError } from "effect-resource-server"
import * as Effect from "effect/Effect"
import { issuer } from "../support/issuer.ts"

/** A challenge by RFC 9110 section 11.6.1, its values by RFC 6750 section 3; throws on anything else. */
const parse = (header: string): Readonly<Record<string, string>> => {
  const [, scheme, rest = ""] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) (.+)$/.exec(header) ?? []
  if (scheme !== "Bearer") throw new Error(`scheme ${scheme}`)
  const parameters = new Map<string, string>()
  let left = rest
  while (left !== "") {
    const [whole, name = "", value = ""] =
      /^([a-z_]+)="([\x20-\x21\x23-\x5b\x5d-\x7e]*)"(?:, (?=[a-z])|$)/.exec(left) ?? []
    if (whole === undefined) throw new Error(`not a parameter: ${left}`)
    if (parameters.has(name)) throw new Error(`${name} twice`)
    parameters.set(name, value)
    left = left.slice(whole.length)
  }
  return Object.fromEntries(parameters)
}

const samples: { readonly [Tag in TokenError.TokenError["_tag"]]: Extract<TokenError.TokenError, { _tag: Tag }> } = {
  TokenMissing: new TokenError.TokenMissing(),
  CredentialsMalformed: new TokenError.CredentialsMalformed({ reason: '"scope=evil"' }),
  TokenMalformed: new TokenError.TokenMalformed({ reason: '"scope=evil"' }),
  AlgorithmNotAllowed: new TokenError.AlgorithmNotAllowed({ expected: ["ES256"], actual: '"scope=evil"' }),
  CriticalHeaderUnsupported: new TokenError.CriticalHeaderUnsupported(),
  KeyNotFound: new TokenError.KeyNotFound({ algorithm: "ES256", keyId: '"scope=evil"' }),
  SignatureInvalid: new TokenError.SignatureInvalid(),
  TypeMismatch: new TokenError.TypeMismatch({ expected: ["at+jwt"], actual: '"scope=evil"' }),
  IssuerMismatch: new TokenError.IssuerMismatch({ expected: issuer, actual: '"scope=evil"' }),
  AudienceMismatch: new TokenError.AudienceMismatch({ expected: [issuer], actual: ['"scope=evil"'] }),
  Expired: new TokenError.Expired({ expiresAt: 0, now: 1 }),
  NotYetValid: new TokenError.NotYetValid({ claim: "nbf", validFrom: 1, now: 0 }),
  ClaimInvalid: new TokenError.ClaimInvalid({ claim: '"scope=evil"', reason: "is missing" }),
  BindingMismatch: new TokenError.BindingMismatch(),
  ScopeMissing: new TokenError.ScopeMissing({ required: ["a"], granted: ['"scope=evil"'] }),
  VerificationUnavailable: new TokenError.VerificationUnavailable({ reason: '"scope=evil"', retryAfter: 1 })
}

describe("every challenge", () => {
  const resources = Effect.forEach([[], ["read"], ["read", "https://scopes.example/write"]], (requiredScopes) =>
    ProtectedResource.make({
      baseUrl: "https://api.example",
      path: "/mcp",
      authorizationServers: [issuer],
      requiredScopes
    })
  )

  it.effect("is read alike by a strict parser and by the MCP SDK's own", () =>
    Effect.gen(function* () {
      for (const resource of yield* resources) {
        for (const scopes of [[], ["admin"]]) {
          for (const error of Object.values(samples)) {
            const header = Challenge.make(error, resource, scopes).headers["www-authenticate"]
            if (error._tag === "VerificationUnavailable") {
              expect(header).toBeUndefined()
              continue
            }
            const { code, description } = TokenError.answers[error._tag]
            const scope = [...resource.requiredScopes, ...scopes].join(" ")
            const expected = {
              resource_metadata: "https://api.example/.well-known/oauth-protected-resource/mcp",
              ...(scope !== "" && { scope }),
              ...(code !== undefined && { error: code, error_description: description })
            }
            expect(parse(header ?? "")).toEqual(expected)
            const response = new Response(null, { headers: { "www-authenticate": header ?? "" } })
            const { resourceMetadataUrl, ...sdk } = extractWWWAuthenticateParams(response)
            expect({ resource_metadata: resourceMetadataUrl?.href, ...sdk }).toEqual({
              resource_metadata: expected.resource_metadata,
              scope: scope === "" ? undefined : scope,
              error: code
            })
          }
        }
      }
    })
  )
})
