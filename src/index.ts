/**
 * An OAuth 2.0 resource server for Effect: access tokens are accepted only if they were minted for this server.
 *
 * `BearerAuthMcp` needs `@effect/ai`, `BearerAuthRpc` needs `@effect/rpc`, `BearerAuthMcpSdk` and `BearerAuthMcpSdkV2` need the MCP
 * TypeScript SDK: each has a subpath of its own, and so has `Testing`, the test kit.
 */
export * as AccessToken from "./token/AccessToken.ts"
export * as AuthKit from "./providers/AuthKit.ts"
export * as AuthorizationServer from "./issuer/AuthorizationServer.ts"
export * as BearerAuth from "./doors/BearerAuth.ts"
export * as BearerAuthHttpApi from "./doors/BearerAuthHttpApi.ts"
export * as BearerAuthWeb from "./doors/BearerAuthWeb.ts"
export * as Challenge from "./doors/Challenge.ts"
export * as Check from "./token/Check.ts"
export * as ConfigurationError from "./ConfigurationError.ts"
export * as Jwt from "./token/Jwt.ts"
export * as KeySet from "./issuer/KeySet.ts"
export * as ProtectedResource from "./resource/ProtectedResource.ts"
export * as ResourceServer from "./providers/ResourceServer.ts"
export * as ResourceUrl from "./resource/ResourceUrl.ts"
export * as ScopeHierarchy from "./resource/ScopeHierarchy.ts"
export * as TokenError from "./TokenError.ts"
export * as TokenVerifier from "./token/TokenVerifier.ts"
