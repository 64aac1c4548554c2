/**
 * A consumer that has nothing but the two peers: it asks itself without a token, and ends.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { AccessToken, AuthKit, BearerAuth, BearerAuthWeb } from "effect-resource-server"
import * as Testing from "effect-resource-server/Testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { deepStrictEqual } from "node:assert"

const Auth = AuthKit.layer({
  authkitDomain: "app.authkit.app",
  baseUrl: "https://api.example",
  path: "/notes",
  requiredScopes: ["notes:read"]
})

const whoami = Effect.map(AccessToken.AccessToken, ({ subject }) => HttpServerResponse.text(subject ?? "nobody"))

const { dispose, handler } = HttpLayerRouter.toWebHandler(
  BearerAuth.add("GET", "/", whoami).pipe(
    Layer.provide(BearerAuth.layer),
    Layer.provide(Auth),
    Layer.provide([FetchHttpClient.layer, HttpServer.layerContext])
  )
)

const challenged = await handler(new Request("https://api.example/notes"))
deepStrictEqual(
  [challenged.status, challenged.headers.get("www-authenticate")],
  [401, 'Bearer resource_metadata="https://api.example/.well-known/oauth-protected-resource/notes", scope="notes:read"']
)

const metadata = await handler(new Request("https://api.example/.well-known/oauth-protected-resource/notes"))
deepStrictEqual(await metadata.json(), {
  resource: "https://api.example/notes",
  authorization_servers: ["https://app.authkit.app"],
  scopes_supported: ["notes:read"],
  bearer_methods_supported: ["header"]
})

await dispose()

const issuer = await Effect.runPromise(
  Testing.issuer({
    issuer: "https://app.authkit.app",
    resource: "https://api.example/notes",
    claims: { scope: "notes:read" }
  })
)
const guard = await BearerAuthWeb.make(Auth.pipe(Layer.provide(issuer.layer)))
const guarded = guard.protect((_request, token) => new Response(token.subject ?? "nobody"))
const answer = async (token: Effect.Effect<Testing.Token>) =>
  (await guarded(new Request("https://api.example/notes", { headers: Testing.bearer(await Effect.runPromise(token)) })))
    .status
deepStrictEqual([await answer(issuer.mint()), await answer(issuer.forge.otherAudience)], [200, 401])
await guard.dispose()

console.log("core: ok")
