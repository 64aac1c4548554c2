/**
 * The log lines of a door: one for each rejection, and at Debug one for each accepted token.
 */
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import { minimumLogLevelOf } from "../fiber.ts"
import { isHarmless, printable, printableClaims } from "../printable.ts"
import type { AccessToken } from "../token/AccessToken.ts"
import { noteOf } from "../token/scopeMissing.ts"
import { answers, type TokenError } from "../TokenError.ts"
import type { Incoming } from "./request.ts"

/** Logs a rejection: the tag, the reason, and what may be shown of the token or of other credentials. */
export const rejected = (
  error: TokenError,
  request: Incoming,
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

/** Logs an accepted token. The line is at Debug because it names people, and costs nothing where Debug is not logged. */
export const accepted = (token: AccessToken["Type"], request: Incoming): Effect.Effect<void> =>
  Effect.withFiberRuntime((fiber) =>
    LogLevel.greaterThan(minimumLogLevelOf(fiber), LogLevel.Debug)
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

/** The name that a proxy or the client gave the request, if it is harmless to print. */
const requestId = ({ headers }: Incoming) => {
  const id = headers["x-request-id"]
  return typeof id === "string" && isHarmless(id) ? { requestId: id } : {}
}
