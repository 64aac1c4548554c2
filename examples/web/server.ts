/**
 * A server of plain functions: `(request, token) => Response`. Effect is in the one value that describes the resource.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { BearerAuthWeb, ResourceServer } from "effect-resource-server"
import * as Layer from "effect/Layer"
import { listen } from "./listen.ts"

/** Starts the server; it stops when it is told to. */
export const start = async (options: { readonly issuer: string; readonly port: number }) => {
  const guard = await BearerAuthWeb.make(
    ResourceServer.layer({
      issuer: options.issuer,
      baseUrl: `http://127.0.0.1:${options.port}`,
      path: "/notes",
      requiredScopes: ["notes:read"],
      scopesSupported: ["notes:read", "notes:admin"]
    }).pipe(Layer.provide(FetchHttpClient.layer))
  )

  const readNotes = guard.protect((_request, token) => new Response(`the notes of ${token.subject}`))
  const eraseNotes = guard.protect(() => new Response("erased"), { scopes: ["notes:admin"] })

  const server = await listen(async (request) => {
    const { pathname } = new URL(request.url)
    if (pathname === "/health") return new Response("well")
    // The metadata document, too, is served by what is protected.
    return request.method === "DELETE" ? eraseNotes(request) : readNotes(request)
  }, options.port)

  return async () => {
    server.close()
    await guard.dispose()
  }
}
