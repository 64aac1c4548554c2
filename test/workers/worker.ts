/**
 * The worker under test, as a user writes it. Its options come from what bundles it.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { BearerAuthWeb, ResourceServer } from "effect-resource-server"
import * as Layer from "effect/Layer"

declare const OPTIONS: Omit<ResourceServer.Options, "baseUrl" | "path">

const guard = await BearerAuthWeb.make(
  ResourceServer.layer({ baseUrl: "https://api.example", path: "/notes", ...OPTIONS }).pipe(
    Layer.provide(FetchHttpClient.layer)
  )
)

export default { fetch: guard.protect((_request, token) => Response.json({ subject: token.subject })) }
