/**
 * Challenges as responses of Effect's HTTP servers.
 */
import type * as Headers from "@effect/platform/Headers"
import * as HttpApp from "@effect/platform/HttpApp"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import { closing } from "./boundedBody.ts"
import { type Challenge, exposedHeaders } from "./Challenge.ts"

type Request = HttpServerRequest.HttpServerRequest
type Response = HttpServerResponse.HttpServerResponse

/**
 * A challenge as the response to a request.
 *
 * What a browser may read of it is added to what the app's own CORS middleware names. Where a body of more than 64 KiB, or of
 * unknown length, was not read, the connection is closed after the response: else the server would read it to its end.
 */
export const respond = (challenge: Challenge, request: Request): Effect.Effect<Response> => {
  const { body, headers, status } = challenge
  return Effect.as(
    beforeResponse(request),
    HttpServerResponse.text(body, { status, headers, contentType: "application/json" })
  )
}

/** `respond` for clients that read every body as their own messages. */
export const respondWithoutBody = ({ headers, status }: Challenge, request: Request): Effect.Effect<Response> => {
  const { "content-type": _, ...others } = headers
  return Effect.as(beforeResponse(request), HttpServerResponse.empty({ status, headers: others }))
}

/** Finishes the response to a rejection after all middleware, whatever makes that response. */
export const beforeResponse = (request: Request, headers: Challenge["headers"] = {}): Effect.Effect<void> =>
  HttpApp.appendPreResponseHandler((_, response) => Effect.succeed(finish(response, request, headers)))

/** The response to a rejection with these headers, and with those that depend on the request and on other middleware. */
export const finish = (response: Response, request: Request, headers: Challenge["headers"]): Response =>
  closing(request, HttpServerResponse.setHeaders(response, { ...headers, ...exposed(response.headers) }))

/** The headers that pages of another origin may read: those of a challenge, and those that a middleware has named. */
const exposed = (headers: Headers.Headers) => {
  const named = (headers["access-control-expose-headers"] ?? "").split(",").map((name) => name.trim())
  const missing = exposedHeaders.filter((name) => !named.some((one) => one.toLowerCase() === name.toLowerCase()))
  return { "access-control-expose-headers": [...named.filter((name) => name !== ""), ...missing].join(", ") }
}
