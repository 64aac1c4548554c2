import { describe, expect, it } from "@effect/vitest"
import { KeySet, ProtectedResource, TokenVerifier } from "effect-resource-server"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Tracer from "effect/Tracer"
import { issuer, keyFor, mint, resource } from "../support/issuer.ts"

/** Keys that note the span in which they are asked for. */
const keys = (spans: Array<string | undefined>) =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const { jwk } = yield* Effect.promise(() => keyFor("ES256"))
      const local = Context.get(yield* Layer.build(KeySet.layerLocal({ jwks: { keys: [jwk] } })), KeySet.KeySet)
      const find: typeof local.find = (header) =>
        Effect.flatMap(Effect.option(Effect.currentSpan), (span) => {
          spans.push(Option.getOrUndefined(span)?.name)
          return local.find(header)
        })
      return Layer.succeed(KeySet.KeySet, { algorithms: local.algorithms, find })
    }).pipe(Effect.scoped)
  )

const verify = (tokens: ReadonlyArray<Redacted.Redacted>, spans: Array<string | undefined>) =>
  Effect.flatMap(TokenVerifier.TokenVerifier, (verifier) =>
    Effect.forEach(tokens, (token) => Effect.ignore(verifier.verify(token)), { discard: true })
  ).pipe(
    Effect.provide(
      TokenVerifier.layerJwt({ issuer }).pipe(
        Layer.provide(keys(spans)),
        Layer.provide(ProtectedResource.layer({ baseUrl: resource, authorizationServers: [issuer] }))
      )
    )
  )

/** A tracer that keeps names and attributes. */
const recording = (spans: Array<{ name: string; attributes: Map<string, unknown> }>) =>
  Tracer.make({
    span: (name, parent, context, links, startTime, kind) => {
      const attributes = new Map<string, unknown>()
      spans.push({ name, attributes })
      return {
        _tag: "Span",
        name,
        spanId: "1",
        traceId: "1",
        parent,
        context,
        links,
        kind,
        sampled: true,
        status: { _tag: "Started", startTime },
        attributes,
        attribute: (key, value) => void attributes.set(key, value),
        event: () => {},
        addLinks: () => {},
        end: () => {}
      }
    },
    context: (run) => run()
  })

describe("a verification", () => {
  it.effect("is one span, with decision, issuer, algorithm, key id and the outcome of the cache", () =>
    Effect.gen(function* () {
      const good = yield* mint()
      const tokens = [
        good,
        good,
        good,
        yield* mint({ claims: { aud: "x" } }),
        yield* mint({ header: { kid: "\n" } }),
        yield* mint({ header: { kid: undefined, alg: "none" } }),
        Redacted.make("opaque")
      ]
      const spans: Array<{ name: string; attributes: Map<string, unknown> }> = []
      const asked: Array<string | undefined> = []
      yield* verify(tokens, asked).pipe(Effect.withTracer(recording(spans)))
      const told = (decision: string, cache: "hit" | "miss", keyId = "es256") => ({
        "oauth.decision": decision,
        "oauth.issuer": issuer,
        "oauth.signature_cache": cache,
        "oauth.algorithm": "ES256",
        "oauth.key_id": keyId
      })
      const verifications = spans.filter(({ name }) => name === "TokenVerifier.verify")
      expect(verifications.map(({ attributes }) => Object.fromEntries(attributes))).toStrictEqual([
        told("accepted", "miss"),
        told("accepted", "miss"),
        told("accepted", "hit"),
        told("AudienceMismatch", "miss"),
        told("KeyNotFound", "miss", "sha256:01ba4719"),
        {
          "oauth.decision": "AlgorithmNotAllowed",
          "oauth.issuer": issuer,
          "oauth.signature_cache": "miss",
          "oauth.algorithm": "none"
        },
        { "oauth.decision": "TokenMalformed", "oauth.issuer": issuer, "oauth.signature_cache": "miss" }
      ])
      expect(asked).toEqual(Array(5).fill("TokenVerifier.verify"))
    })
  )

  it.effect("is no span where no tracer listens", () =>
    Effect.gen(function* () {
      const asked: Array<string | undefined> = []
      yield* verify([yield* mint()], asked)
      expect(asked).toEqual([undefined])
    })
  )
})
