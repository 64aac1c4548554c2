/**
 * The JSON-RPC messages of an MCP client. The server of `@effect/ai` is handed only requests that it can answer: it answers
 * unknown methods, ids that are no positive integers, and batches with notifications wrongly or not at all.
 */
import * as Either from "effect/Either"

/** The most messages of one batch. */
const maxMessages = 100

/** A request for the server. */
export interface Request {
  readonly id: string | number
  readonly method: string
  readonly params: unknown
}

/** An error that the client is answered. */
export interface RpcError {
  readonly code: number
  readonly message: string
}

/** A response object of JSON-RPC. */
type Answer = Readonly<Record<string, unknown>>

/** What a client sent in one HTTP request. */
export interface Received {
  readonly batch: boolean
  /** What the server is to answer. */
  readonly requests: ReadonlyArray<Request>
  /** What is answered without the server. */
  readonly errors: ReadonlyArray<Answer>
}

const failed = (id: string | number | null, error: RpcError): Answer => ({ jsonrpc: "2.0", id, error })

const invalid = (message: string): Answer => failed(null, { code: -32600, message })

/**
 * Reads a body. Left is the answer to a body of which nothing runs: no JSON, no message, no batch or too large a one.
 *
 * Requests that `refuse` has an error for are answered with it. Notifications and responses are dropped, because over HTTP
 * the server does nothing with them.
 */
export const receive = (
  body: string,
  refuse: (method: string, params: unknown) => RpcError | undefined
): Either.Either<Received, Answer> => {
  const parsed = Either.try((): unknown => JSON.parse(body))
  if (Either.isLeft(parsed)) return Either.left(failed(null, { code: -32700, message: "Parse error" }))
  const batch = Array.isArray(parsed.right)
  const messages: ReadonlyArray<unknown> = Array.isArray(parsed.right) ? parsed.right : [parsed.right]
  if (messages.length === 0) return Either.left(invalid("The batch is empty"))
  if (messages.length > maxMessages) return Either.left(invalid(`The batch has more than ${maxMessages} messages`))
  const requests: Array<Request> = []
  const errors: Array<Answer> = []
  for (const message of messages) {
    const { id, method, params } = Object(message) as Readonly<Record<string, unknown>>
    if (typeof method !== "string") {
      if (!isResponse(message)) errors.push(invalid("Invalid Request"))
    } else if (id !== undefined && !isId(id)) errors.push(invalid("The id is no string and no number"))
    else if (id !== undefined) {
      const error = refuse(method, params)
      if (error === undefined) requests.push({ id, method, params })
      else errors.push(failed(id, error))
    }
  }
  const [error] = errors
  return !batch && error?.["id"] === null ? Either.left(error) : Either.right({ batch, requests, errors })
}

const isId = (id: unknown): id is string | number => typeof id === "string" || typeof id === "number"

const isResponse = (message: unknown): boolean =>
  Object.hasOwn(Object(message), "result") || Object.hasOwn(Object(message), "error")

/** The body for the server, where it cannot be the client's own: the requests in a batch, numbered from 1. */
export const forServer = ({ batch, requests }: Received): string | undefined => {
  const id = requests[0]?.id
  if (!batch && Number.isSafeInteger(id) && Number(id) > 0) return undefined
  return JSON.stringify(
    requests.map(({ method, params }, index) => ({ jsonrpc: "2.0", id: index + 1, method, params }))
  )
}

/** The body for the client: the server's answers to what `forServer` made under the client's own ids, and the errors. */
export const forClient = ({ batch, errors, requests }: Received, answer: string): string => {
  const parsed = [answer === "" ? [] : JSON.parse(answer)].flat() as ReadonlyArray<Answer>
  const answers = new Map(parsed.map((one) => [one["id"], one]))
  const lost: Answer = { jsonrpc: "2.0", error: { code: -32603, message: "Internal error" } }
  const all = [...requests.map(({ id }, index) => ({ ...(answers.get(index + 1) ?? lost), id })), ...errors]
  return JSON.stringify(batch ? all : all[0])
}
