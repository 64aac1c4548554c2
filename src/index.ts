/**
 * An OAuth 2.0 resource server for Effect: access tokens are accepted only if they were minted for this server.
 *
 * `BearerAuthMcp` needs `@effect/ai`, `BearerAuthRpc` needs `@effect/rpc`, `BearerAuthMcpSdk` and `BearerAuthMcpSdkV2` need the MCP
 * TypeScript SDK: each has a subpath of its own, and so has `Testing`, the test kit.
 */
export * as AccessToken from "./AccessToken.ts"
export * as AuthKit from "./AuthKit.ts"
export * as AuthorizationServer from "./AuthorizationServer.ts"
export * as BearerAuth from "./BearerAuth.ts"
export * as BearerAuthHttpApi from "./BearerAuthHttpApi.ts"
export * as BearerAuthWeb from "./BearerAuthWeb.ts"
export * as Challenge from "./Challenge.ts"
export * as Check from "./Check.ts"
export * as ConfigurationError from "./ConfigurationError.ts"
export * as Jwt from "./Jwt.ts"
export * as KeySet from "./KeySet.ts"
export * as ProtectedResource from "./ProtectedResource.ts"
export * as ResourceServer from "./ResourceServer.ts"
export * as ResourceUrl from "./ResourceUrl.ts"
export * as ScopeHierarchy from "./ScopeHierarchy.ts"
export * as TokenError from "./TokenError.ts"
export * as TokenVerifier from "./TokenVerifier.ts"
