/**
 * A real authorization server that binds audiences: `oidc-provider` with resource indicators (RFC 8707), in this process.
 *
 * It mints JWT access tokens for the resources that the options name, and for no others. Clients may register
 * themselves. Every user is logged in as `ada`, and every scope of a resource is granted, without a page.
 */
import "./quiet.ts"
import * as Effect from "effect/Effect"
import { randomUUID } from "node:crypto"
import { type AddressInfo } from "node:net"
import * as Http from "node:http"
import { generateKeyPair, exportJWK, type JWK } from "jose"
import Provider, { type ClientMetadata, errors, type KoaContextWithOIDC, type ResourceServer } from "oidc-provider"

/** A machine that gets tokens by the client credentials grant. */
export interface Client {
  readonly id: string
  readonly secret: string
  /** How long its tokens live, in seconds. Default: 300. */
  readonly tokenLifetime?: number
}

/** An app that users log in with. It keeps no secret, and it need not register itself. */
export interface App {
  readonly id: string
  readonly redirectUri: string
}

export interface Options {
  /** The resources that tokens are minted for, each with its scopes. */
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
  /** Makes the server that listens. Default: one of `node:http`. */
  readonly createServer?: () => Http.Server
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
    const server = (options.createServer ?? Http.createServer)()
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
      allowLocalOrigin(request, response)
      if (request.method === "OPTIONS") return void response.writeHead(204).end()
      if (request.url?.startsWith("/interaction/")) return void consent(provider, request, response)
      return void answer(request, response)
    })
    return { issuer, tokenEndpoint: `${issuer}/token`, stop } satisfies AuthorizationServer
  })

/** Listens on the port. Fails with a sentence for the user, for example when the port is in use. */
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
    scopes: ["openid", "offline_access", ...new Set(Object.values(options.resources).flat())],
    pkce: { required: () => true },
    clientDefaults: {
      id_token_signed_response_alg: signingKey.alg as "ES256",
      // Most MCP clients run on users' machines but do not say so when they register. Native apps may use a URI scheme
      // of their own, or any port on loopback (RFC 8252).
      application_type: "native"
    },
    extraClientMetadata: {
      // Clients register with the scopes of the first challenge and ask for others later. oidc-provider grants no scope
      // beyond the registered ones, so none are registered.
      properties: ["scope"],
      validator: (_context, _property, _value, metadata) => void delete metadata.scope
    },
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

/** Grants a client what it asks for, as if the user had agreed. */
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
  provider.interactionFinished(request, response, { login: { accountId: "ada" }, consent: {} }).catch(() => {
    // The request has no cookie of a login that has begun.
    response.writeHead(400, { "content-type": "text/plain" }).end("No login has begun here. Connect again.\n")
  })

/**
 * Lets web apps on this machine, such as the MCP Inspector, read what this server answers (CORS).
 *
 * `oidc-provider` itself lets no web app register.
 */
const allowLocalOrigin = ({ headers }: Http.IncomingMessage, response: Http.ServerResponse) => {
  const { origin } = headers
  if (origin === undefined || !/^http:\/\/(localhost|127\.0\.0\.1)(:\d+)?$/.test(origin)) return
  response.setHeader("access-control-allow-origin", origin)
  response.setHeader("access-control-allow-headers", headers["access-control-request-headers"] ?? "*")
  response.setHeader("vary", "Origin")
}
