import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as LogLevel from "effect/LogLevel"
import type { AccessToken } from "../token/AccessToken.ts"
import { answers, type TokenError } from "../TokenError.ts"
import { isHarmless, printable, printableClaims } from "../printable.ts"
import { noteOf } from "../token/scopeMissing.ts"

type Request = HttpServerRequest.HttpServerRequest

/** One line for a rejection: the tag, the reason, and what may be shown of the token or of other credentials. */
export const rejected = (
  error: TokenError,
  request: Request,
  described: object,
  level: LogLevel.Literal = answers[error._tag].logLevel
): Effect.Effect<void> => {
  const note = noteOf(error)
  const line = `Request rejected: ${error.message}${note === undefined ? "" : `: ${note}`}`
  return Effect.annotateLogs(Effect.logWithLevel(LogLevel.fromLiteral(level), line), {
    error: error._tag,
    ...described,
    ...requestId(request)
  })
}

/** One line for an acceptance: whose token it was. At Debug, for it is about people; who does not ask for it pays nothing. */
export const accepted = (token: AccessToken["Type"], request: Request): Effect.Effect<void> =>
  Effect.withFiberRuntime((fiber) =>
    LogLevel.greaterThan(fiber.getFiberRef(FiberRef.currentMinimumLogLevel), LogLevel.Debug)
      ? Effect.void
      : Effect.annotateLogs(Effect.logDebug("Token accepted"), { ...describe(token), ...requestId(request) })
  )

const describe = ({ claims, clientId, scopes, subject }: AccessToken["Type"]) => {
  const tokenId = claims["jti"]
  return {
    ...(subject !== undefined && { subject: printable(subject) }),
    ...(clientId !== undefined && { clientId: printable(clientId) }),
    ...(typeof tokenId === "string" && { tokenId: printable(tokenId) }),
    scopes: printableClaims([...scopes])
  }
}

/** The name that a proxy gave the request, or its client: only one that is harmless to print. */
const requestId = ({ headers }: Request) => {
  const id = headers["x-request-id"]
  return id !== undefined && isHarmless(id) ? { requestId: id } : {}
}
