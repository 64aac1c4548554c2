/**
 * What is exported is a promise: it changes here or not at all.
 */
import { join } from "node:path"
import ts from "typescript"
import { describe, expect, it } from "vitest"
import { program, root } from "../support/compile.ts"
import { names } from "../support/modules.ts"

const modules = names.filter((name) => !name.startsWith("internal/") && name !== "index")
const text = [...modules, "index"].map((name) => `import * as ${name} from "../src/${name}.ts"`).join("\n")
const path = "test/exports.virtual.ts"
const checked = program([{ path, text }])

/** The names that a module exports, types and values. */
const exportsOf = (name: string): ReadonlyArray<string> => {
  const checker = checked.getTypeChecker()
  const symbol = checker.getSymbolAtLocation(checked.getSourceFile(join(root, `src/${name}.ts`))!)!
  return checker.getExportsOfModule(symbol).map((one) => `${isValue(one, checker) ? "" : "type "}${one.name}`)
}

const isValue = (symbol: ts.Symbol, checker: ts.TypeChecker): boolean => {
  const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
  return (target.flags & ts.SymbolFlags.Value) !== 0
}

const exported: Readonly<Record<string, string>> = {
  AccessToken: "AccessToken, fromJwt, layerRequest, requireScopes, type VerifiedToken, withScopes",
  AuthKit: "layer, layerConfig, layerResource, layerResourceConfig, type Options, type ResourceOptions",
  AuthorizationServer: "discover, layerMetadataRoute, metadataUrls",
  BearerAuth:
    "add, addOpen, beforeResponse, credentials, finish, layer, layerScopes, make, middleware, respond, toResponse, type Authenticator, type Handler, type Options",
  BearerAuthHttpApi: "Open, Protected, Tag, add, layer, type TagClass",
  BearerAuthMcp: "Scopes, layerHttpRouter, layerScopes, toolkit, type Options",
  BearerAuthMcpSdk:
    "make, type AuthInfo, type IncomingRequest, type McpAuth, type Middleware, type OutgoingResponse, type ProtectOptions",
  BearerAuthMcpSdkV2:
    "make, type AuthInfo, type IncomingRequest, type McpAuth, type Middleware, type OutgoingResponse, type ProtectOptions",
  BearerAuthRpc: "Open, Protected, Tag, add, layer, type TagClass",
  BearerAuthWeb: "make, type Guard, type Handler",
  Challenge: "exposedHeaders, make, type Challenge",
  Check:
    "accessTokenType, audience, bearer, issuer, lifetime, requiredClaims, rfc9068Claims, scopes, tokenType, type AccessTokenTypeOptions, type Check, type ClaimValue, type Claimed, type JwtCheck, type RequiredClaim",
  ConfigurationError: "ConfigurationError, make",
  Jwt: "defaultMaxTokenLength, describe, highestMaxTokenLength, scopes, type Claims, type Description, type Jwt, type Rejection, type VerifyOptions, verify",
  KeySet:
    "KeySet, layerDiscovery, layerDiscoveryConfig, layerLocal, layerRemote, layerRemoteConfig, type Algorithm, type JsonWebKeySet, type Options, type RemoteOptions, type VerificationKey",
  ProtectedResource:
    "ProtectedResource, layer, layerConfig, layerMetadataRoute, make, metadataMiddleware, type Metadata, type Options",
  ResourceServer: "layer, layerConfig, type Keys, type Options",
  ResourceUrl: "isLoopback, isSecure, make, parse, type ResourceUrl",
  ScopeHierarchy: "covers, make, narrowest, type Implications, type ScopeHierarchy",
  Testing:
    "bearer, generateKey, issuer, network, publishes, sign, type Answer, type Attack, type Issuer, type Key, type Network, type Options, type Overrides, type Token",
  TokenError:
    "AlgorithmNotAllowed, AudienceMismatch, BindingMismatch, ClaimInvalid, CredentialsMalformed, CriticalHeaderUnsupported, Expired, IssuerMismatch, KeyNotFound, NotYetValid, ScopeMissing, SignatureInvalid, TokenError, TokenMalformed, TokenMissing, TypeMismatch, VerificationUnavailable, answers, type Answer",
  TokenVerifier:
    "TokenVerifier, layer, layerJwt, layerJwtConfig, type AcceptedAudiences, type JwtOptions, type PolicyOptions, type Rejection"
}

describe("effect-resource-server", () => {
  it("exports a namespace for each module, but for those with a peer of their own, and the test kit", () => {
    const apart = ["BearerAuthMcp", "BearerAuthMcpSdk", "BearerAuthMcpSdkV2", "BearerAuthRpc", "Testing"]
    expect(exportsOf("index")).toEqual(Object.keys(exported).filter((name) => !apart.includes(name)))
  })

  it("has a subpath for each module", () => {
    expect(modules).toEqual(Object.keys(exported))
  })

  it.each(modules)("%s exports what it did", (name) => {
    expect([...exportsOf(name)].sort().join(", ")).toBe(exported[name])
  })
})
