/**
 * An issuer that answers, fails, hangs, sends wrong answers and replaces its keys. After that it works for a while, and then it
 * starts again.
 */
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { generateKey, type Key } from "../support/issuer.ts"

type Mood = "good" | "500" | "garbage" | "slow" | "endless" | "redirect" | "429" | "empty" | "hang"

const early: ReadonlyArray<Mood> = ["good", "500", "garbage", "slow", "endless"]
// Hanging comes last, because a server that waits for an answer asks nothing during the other moods.
const late: ReadonlyArray<Mood> = ["redirect", "good", "429", "good", "empty", "hang"]

/** A key that was published for a whole calm phase. */
export interface Calmed {
  readonly key: Key
  /** When the calm phase began. */
  readonly since: number
}

export interface FlappingIssuer {
  readonly url: string
  /** The key in every good answer. */
  readonly stable: Key
  /** The key in every good answer until it is replaced. */
  rotating: Key
  /** The key that was replaced last. It is in no answer any more. */
  removed: Key
  /** Every key that replaced another one. */
  readonly rotated: ReadonlyArray<Key>
  readonly calmed: ReadonlyArray<Calmed>
  readonly requests: () => number
  readonly stop: () => void
}

export const start = async (options: {
  readonly moodMillis: number
  readonly calmMillis: number
}): Promise<FlappingIssuer> => {
  const { calmMillis, moodMillis } = options
  let mood: Mood = "good"
  let requests = 0
  let stopped = false
  const rotated: Array<Key> = []
  const calmed: Array<Calmed> = []
  const server = createServer((_request, response) => {
    requests++
    answers[mood](response)
  })
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const issuer: FlappingIssuer = {
    url,
    stable: await generateKey("ES256", "stable"),
    rotating: await generateKey("ES256", "rotating-0"),
    removed: await generateKey("ES256", "never"),
    rotated,
    calmed,
    requests: () => requests,
    stop: () => {
      stopped = true
      server.close()
      server.closeAllConnections()
    }
  }

  const publish = (response: ServerResponse) =>
    void response.end(JSON.stringify({ keys: [issuer.stable.jwk, issuer.rotating.jwk] }))
  const answers: { readonly [M in Mood]: (response: ServerResponse) => void } = {
    good: publish,
    "500": (response) => response.writeHead(500).end(),
    garbage: (response) => response.end("<html>{"),
    slow: (response) => void setTimeout(() => publish(response), moodMillis / 2),
    endless: (response) => {
      const drip = setInterval(() => response.write(" ".repeat(65_536)), 5)
      response.on("close", () => clearInterval(drip))
    },
    redirect: (response) => response.writeHead(302, { location: `${url}/elsewhere` }).end(),
    "429": (response) => response.writeHead(429, { "retry-after": "1" }).end(),
    // An empty list of keys would not be a failure, because it withdraws all keys.
    empty: (response) => response.end("{}"),
    hang: () => {}
  }

  const flap = async (moods: ReadonlyArray<Mood>) => {
    for (mood of moods) await sleep(moodMillis)
  }
  const rotate = async () => {
    const key = await generateKey("ES256", `rotating-${rotated.length + 1}`)
    // Both change in one step, so that no answer has both keys.
    issuer.removed = issuer.rotating
    issuer.rotating = key
    rotated.push(key)
  }
  const calm = async () => {
    mood = "good"
    const since = Date.now()
    await sleep(calmMillis)
    if (!stopped) calmed.push({ key: issuer.rotating, since })
  }
  const live = async () => {
    while (!stopped) {
      await flap(early)
      await rotate()
      await flap(late)
      await rotate()
      await calm()
    }
  }
  void live()
  return issuer
}
