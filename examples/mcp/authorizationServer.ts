/**
 * A real authorization server that binds audiences: `oidc-provider` with resource indicators (RFC 8707), in this process.
 *
 * It mints JWT access tokens for the resources it is told of, and no others. Users log in and consent by themselves.
 */
import "./quiet.ts"
import * as Effect from "effect/Effect"
import { randomUUID } from "node:crypto"
import { type AddressInfo } from "node:net"
import * as Http from "node:http"
import { generateKeyPair, exportJWK, type JWK } from "jose"
import Provider, { type ClientMetadata, errors, type KoaContextWithOIDC, type ResourceServer } from "oidc-provider"

/** A machine that may ask for tokens by the client credentials grant. */
export interface Client {
  readonly id: string
  readonly secret: string
  /** How long its tokens live, in seconds. Default: 300. */
  readonly tokenLifetime?: number
}

/** An app that users log in with. It is known beforehand, so that it may ask for more scopes later; it keeps no secret. */
export interface App {
  readonly id: string
  readonly redirectUri: string
}

export interface Options {
  /** The resources it may mint tokens for, with the scopes each knows. */
  readonly resources: Readonly<Record<string, ReadonlyArray<string>>>
  readonly clients: ReadonlyArray<Client>
  /** Apps that need not register themselves. Default: none. */
  readonly apps?: ReadonlyArray<App>
  /** The signing key. Default: a new one. */
  readonly signingKey?: JWK
  /** The port on 127.0.0.1. Default: a free one. */
  readonly port?: number
  /** Where it publishes its keys. Default: `/jwks`. */
  readonly jwksPath?: `/${string}`
  /** Writes no `typ` to its access tokens, as AuthKit does. Default: `at+jwt`. */
  readonly untyped?: boolean
}

export interface AuthorizationServer {
  readonly issuer: string
  readonly tokenEndpoint: string
  /** Closes the port: from then on the server is not there. */
  readonly stop: Effect.Effect<void>
}

export const newSigningKey = (algorithm = "ES256") =>
  Effect.promise(async (): Promise<JWK> => {
    const { privateKey } = await generateKeyPair(algorithm, { extractable: true })
    return { ...(await exportJWK(privateKey)), alg: algorithm, use: "sig", kid: randomUUID() }
  })

/** Starts the server; it stops with the scope. */
export const start = (options: Options) =>
  Effect.gen(function* () {
    const signingKey = options.signingKey ?? (yield* newSigningKey())
    const server = Http.createServer()
    yield* listen(server, options.port ?? 0)
    const stop = Effect.promise(async () => {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    })
    yield* Effect.addFinalizer(() => stop)
    const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const provider = makeProvider(issuer, signingKey, options)
    const answer = provider.callback()
    server.on("request", (request, response) => {
      if (request.url?.startsWith("/interaction/")) return void consent(provider, request, response)
      return void answer(request, response)
    })
    return { issuer, tokenEndpoint: `${issuer}/token`, stop } satisfies AuthorizationServer
  })

/** A port in use is an error in words, not a stack trace. */
const listen = (server: Http.Server, port: number) =>
  Effect.async<void, Error>((resume) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const reason = error.code === "EADDRINUSE" ? "the port is in use" : error.message
      resume(Effect.fail(new Error(`The authorization server cannot listen on 127.0.0.1:${port}: ${reason}`)))
    })
    server.listen(port, "127.0.0.1", () => resume(Effect.void))
  })

const makeProvider = (issuer: string, signingKey: JWK, options: Options) =>
  new Provider(issuer, {
    jwks: { keys: [signingKey] },
    scopes: ["openid", ...new Set(Object.values(options.resources).flat())],
    pkce: { required: () => true },
    clientDefaults: { id_token_signed_response_alg: signingKey.alg as "ES256" },
    cookies: { keys: ["only for examples"] },
    clients: [...options.clients.map(machine), ...(options.apps ?? []).map(app)],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_context, resource, client): ResourceServer => {
          const scopes = options.resources[resource]
          if (scopes === undefined) throw new errors.InvalidTarget()
          return {
            audience: resource,
            scope: scopes.join(" "),
            accessTokenFormat: "jwt",
            accessTokenTTL: options.clients.find(({ id }) => id === client.clientId)?.tokenLifetime ?? 300,
            jwt: { sign: { alg: signingKey.alg as "ES256" } }
          }
        }
      }
    },
    routes: {
      authorization: "/authorize",
      registration: "/register",
      token: "/token",
      jwks: options.jwksPath ?? "/jwks"
    },
    ...(options.untyped === true && { formats: { customizers: { jwt: withoutType } } }),
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    findAccount: (_context, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    loadExistingGrant
  })

const withoutType = (_context: unknown, _token: unknown, jwt: { header?: object | undefined }) => {
  jwt.header = { typ: undefined }
}

const machine = ({ id, secret }: Client): ClientMetadata => ({
  client_id: id,
  client_secret: secret,
  grant_types: ["client_credentials"],
  redirect_uris: [],
  response_types: [],
  token_endpoint_auth_method: "client_secret_basic"
})

const app = ({ id, redirectUri }: App): ClientMetadata => ({
  client_id: id,
  grant_types: ["authorization_code"],
  redirect_uris: [redirectUri],
  response_types: ["code"],
  token_endpoint_auth_method: "none"
})

/** Grants a client what it asks for: the consent of a user who reads nothing. */
const loadExistingGrant = async (context: KoaContextWithOIDC) => {
  const { client, params, provider, session } = context.oidc
  const grant = new provider.Grant({ clientId: client!.clientId, accountId: session!.accountId! })
  grant.addOIDCScope(String(params?.["scope"] ?? ""))
  const resources = [params?.["resource"]].flat().filter((resource) => typeof resource === "string")
  for (const resource of resources) grant.addResourceScope(resource, String(params?.["scope"] ?? ""))
  await grant.save()
  return grant
}

/** Logs every user in as `ada`, without a page. */
const consent = (provider: Provider, request: Http.IncomingMessage, response: Http.ServerResponse) =>
  provider.interactionFinished(request, response, { login: { accountId: "ada" }, consent: {} })
