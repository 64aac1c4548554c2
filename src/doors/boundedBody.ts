/**
 * One reader of request bodies: at most a given number of bytes, once, for all who ask.
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Multipart from "@effect/platform/Multipart"
import * as UrlParams from "@effect/platform/UrlParams"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as read from "../options.ts"

/** How much a door reads of a request. */
export interface BodyOptions {
  /** The most bytes of a body that are read. Default: 1,048,576 (1 MiB). */
  readonly maxBodyBytes?: number | undefined
}

/** A limit of a door: 1 MiB by default. Fails if it is no whole number of bytes above zero. */
export const maxBodyBytes = (option: unknown = 1_048_576): read.Read<number> =>
  read.number("maxBodyBytes", option, {
    holds: (bytes) => Number.isSafeInteger(bytes) && bytes > 0,
    complaint: "is not a whole number of bytes above zero"
  })

/**
 * A route whose handler reads at most `maxBytes` of its request's body. Beyond that the answer is 413, whatever the handler
 * does.
 *
 * Nothing is read before the handler asks, and nothing at all of a body whose `Content-Length` is above the limit. The body is
 * held in memory, so that it can be read again and in every form. Bytes are counted as they arrive: a compressed
 * body is not inflated. A body that the app read before this route is left as it is.
 */
export const bounded = <E, R>(
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
  maxBytes: number
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    if (isRead(request)) return handler
    let exceeded = false
    let reading: Promise<Uint8Array<ArrayBuffer>> | undefined
    const bytes = Effect.tryPromise({
      try: () => (reading ??= readBody(request, maxBytes)),
      catch: (cause) => {
        if (cause instanceof BodyTooLarge) exceeded = true
        return new HttpServerError.RequestError({ request, reason: "Decode", cause })
      }
    })
    const orTooLarge = <A extends Effect.Effect<HttpServerResponse.HttpServerResponse, E>>(answer: A) =>
      exceeded ? Effect.succeed(closing(request, HttpServerResponse.empty({ status: 413 }))) : answer
    return Effect.matchCauseEffect(
      Effect.provideService(handler, HttpServerRequest.HttpServerRequest, withBody(request, bytes)),
      {
        onFailure: (cause) => orTooLarge(Effect.failCause(cause)),
        onSuccess: (response) => orTooLarge(Effect.succeed(response))
      }
    )
  })

/** `bounded` for the routes that the Layer is provided to. */
export const layerBounded = (options?: BodyOptions) =>
  HttpLayerRouter.middleware(
    Effect.gen(function* () {
      const given = yield* read.options<BodyOptions>(options === undefined ? {} : options, { maxBodyBytes: true })
      const maxBytes = yield* maxBodyBytes(given.maxBodyBytes)
      return <E, R>(handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) => bounded(handler, maxBytes)
    })
  ).layer

/**
 * A response after which Node closes the connection if the request has a body that did not arrive yet. Node would otherwise
 * read that body to its end.
 */
export const closing = (
  { headers, source }: HttpServerRequest.HttpServerRequest,
  response: HttpServerResponse.HttpServerResponse
): HttpServerResponse.HttpServerResponse =>
  isIncomplete(source, headers) ? HttpServerResponse.setHeader(response, "connection", "close") : response

/**
 * This is an HTTP/1 request of Node, with a body that did not arrive yet and may be long.
 *
 * Node reads a short one to its end by itself. To close the connection then would reset it before a client that sends the body
 * a little later than the headers has read the answer.
 */
export const isIncomplete = (source: unknown, headers: { readonly [name: string]: unknown }): boolean => {
  const isLong =
    headers["transfer-encoding"] !== undefined || !(Number(headers["content-length"] ?? 0) <= shortBodyBytes)
  return isLong && isNode(source) && !source.complete && source.httpVersionMajor === 1
}

/** What the connection of a rejected request may still bring. */
const shortBodyBytes = 65_536

/**
 * `bounded` for web-standard requests. The body is counted while the handler reads it, and not held in memory.
 */
export const boundedWeb = async (
  request: Request,
  maxBytes: number,
  handler: (request: Request) => Response | Promise<Response>
): Promise<Response> => {
  if (request.body === null || request.bodyUsed) return handler(request)
  let left = maxBytes
  const tooLarge = () => new Response(null, { status: 413 })
  if (Number(request.headers.get("content-length")) > maxBytes) return tooLarge()
  const counter = new TransformStream<Uint8Array, Uint8Array>({
    transform: (chunk, controller) => {
      left -= chunk.length
      if (left < 0) controller.error(new BodyTooLarge())
      else controller.enqueue(chunk)
    }
  })
  // Left out of TypeScript's DOM library: without `duplex`, a request takes no stream.
  const init: RequestInit & { readonly duplex: "half" } = { body: request.body.pipeThrough(counter), duplex: "half" }
  try {
    const response = await handler(new Request(request, init))
    return left < 0 ? tooLarge() : response
  } catch (error) {
    if (left < 0) return tooLarge()
    throw error
  }
}

/** The body has more bytes than the limit allows. */
class BodyTooLarge extends Error {}

/** `IncomingMessage` of Node, as far as it is used here. */
interface NodeSource {
  readonly complete: boolean
  readonly httpVersionMajor: number
  readonly readableDidRead: boolean
  readonly pause: () => unknown
  readonly on: (event: string, listener: (value: never) => void) => unknown
  readonly off: (event: string, listener: (value: never) => void) => unknown
}

const isNode = (source: unknown): source is NodeSource => typeof Object(source).readableDidRead === "boolean"

/** Somebody else has read the body, or has begun to. */
const isRead = ({ source }: HttpServerRequest.HttpServerRequest): boolean =>
  isNode(source) ? source.readableDidRead : Object(source).bodyUsed === true

/** All bytes of the body. Rejects with `BodyTooLarge`, or with what broke the body off. */
const readBody = async (
  request: HttpServerRequest.HttpServerRequest,
  maxBytes: number
): Promise<Uint8Array<ArrayBuffer>> => {
  if (Number(request.headers["content-length"]) > maxBytes) throw new BodyTooLarge()
  const { source } = request
  const received = receive(maxBytes)
  if (isNode(source)) await readNode(source, received)
  else await readWeb(source instanceof Request ? source.body : Stream.toReadableStream(request.stream), received)
  return received.all()
}

/** What has arrived. `add` throws `BodyTooLarge`. */
const receive = (maxBytes: number) => {
  const chunks: Array<Uint8Array> = []
  let length = 0
  return {
    add: (chunk: Uint8Array): void => {
      length += chunk.length
      if (length > maxBytes) throw new BodyTooLarge()
      chunks.push(chunk)
    },
    all: (): Uint8Array<ArrayBuffer> => {
      const bytes = new Uint8Array(length)
      let offset = 0
      for (const chunk of chunks) {
        bytes.set(chunk, offset)
        offset += chunk.length
      }
      return bytes
    }
  }
}

type Received = ReturnType<typeof receive>

/** Reads until the end or the limit. The platform's own reader would destroy the connection, and the answer with it. */
const readNode = (source: NodeSource, received: Received): Promise<void> =>
  new Promise((resolve, reject) => {
    const listeners = {
      data: (chunk: Uint8Array) => {
        try {
          received.add(chunk)
        } catch (error) {
          source.pause()
          stop(() => reject(error))
        }
      },
      end: () => stop(resolve),
      error: (error: Error) => stop(() => reject(error))
    }
    const stop = (settle: () => void) => {
      for (const [event, listener] of Object.entries(listeners)) source.off(event, listener)
      settle()
    }
    for (const [event, listener] of Object.entries(listeners)) source.on(event, listener)
  })

const readWeb = async (body: ReadableStream<Uint8Array> | null, received: Received): Promise<void> => {
  if (body === null) return
  const reader = body.getReader()
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) received.add(next.value)
  } catch (error) {
    // Nobody waits for the other side to agree, nor minds if it does not.
    reader.cancel().catch(() => undefined)
    throw error
  }
}

/** Runs a handler whose request has this body in place of its own. */
export const withText = <A, E, R>(handler: Effect.Effect<A, E, R>, text: string) =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
    Effect.provideService(
      handler,
      HttpServerRequest.HttpServerRequest,
      withBody(
        request,
        Effect.sync(() => encoder.encode(text))
      )
    )
  )

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** The request, its body read from these bytes in every form. */
const withBody = (
  request: HttpServerRequest.HttpServerRequest,
  bytes: Effect.Effect<Uint8Array<ArrayBuffer>, HttpServerError.RequestError>
): HttpServerRequest.HttpServerRequest => {
  const malformed = (cause: unknown) => new HttpServerError.RequestError({ request, reason: "Decode", cause })
  const text = Effect.map(bytes, (all) => decoder.decode(all))
  const stream = Stream.fromEffect(bytes)
  const multipartStream = () =>
    Stream.mapError(stream, (cause) => new Multipart.MultipartError({ reason: "InternalError", cause })).pipe(
      Stream.pipeThroughChannel(Multipart.makeChannel(request.headers))
    )
  return Object.create(request, {
    text: { value: text },
    json: {
      value: Effect.tryMap(text, { try: (all): unknown => (all === "" ? null : JSON.parse(all)), catch: malformed })
    },
    urlParamsBody: { value: Effect.map(text, (all) => UrlParams.fromInput(new URLSearchParams(all))) },
    arrayBuffer: { value: Effect.map(bytes, (all) => all.buffer) },
    stream: { value: stream },
    multipartStream: { get: multipartStream },
    multipart: { get: () => Multipart.toPersisted(multipartStream()) },
    modify: {
      value: (options: Parameters<typeof request.modify>[0]) => withBody(request.modify(options), bytes)
    }
  }) as HttpServerRequest.HttpServerRequest
}
