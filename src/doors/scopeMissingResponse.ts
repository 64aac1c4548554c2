import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Schema from "effect/Schema"
import type { AccessToken } from "../token/AccessToken.ts"
import { lastFoundOf } from "../token/scopeMissing.ts"
import { ScopeMissing } from "../TokenError.ts"

/**
 * The error that a handler of `HttpApi` failed with, where this response was made of it.
 *
 * A middleware of `HttpApi` never sees how a handler fails, only the response. A response of another origin that looks like
 * it, from a server behind this one, has no error here.
 */
export const scopeMissingOf = (
  accessToken: AccessToken["Type"],
  { body, status }: HttpServerResponse.HttpServerResponse
): ScopeMissing | undefined => {
  if (status !== 403 || body._tag !== "Uint8Array") return undefined
  const error = lastFoundOf(accessToken)
  return error !== undefined && new TextDecoder().decode(body.body) === JSON.stringify(encode(error))
    ? error
    : undefined
}

const encode = Schema.encodeSync(ScopeMissing)
