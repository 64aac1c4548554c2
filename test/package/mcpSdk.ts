/**
 * A consumer of both versions of the MCP TypeScript SDK: it shows each a token that is none, and ends.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { AuthKit } from "effect-resource-server"
import * as BearerAuthMcpSdk from "effect-resource-server/BearerAuthMcpSdk"
import * as BearerAuthMcpSdkV2 from "effect-resource-server/BearerAuthMcpSdkV2"
import * as Layer from "effect/Layer"
import { rejects } from "node:assert"

const Auth = AuthKit.layer({ authkitDomain: "app.authkit.app", baseUrl: "https://api.example", path: "/mcp" }).pipe(
  Layer.provide(FetchHttpClient.layer)
)

const v1 = await BearerAuthMcpSdk.make(Auth)
await rejects(v1.verifier.verifyAccessToken("none"), { errorCode: "invalid_token" })
await v1.dispose()

const v2 = await BearerAuthMcpSdkV2.make(Auth)
await rejects(v2.verifier.verifyAccessToken("none"), { code: "invalid_token" })
await v2.dispose()

console.log("mcpSdk: ok")
