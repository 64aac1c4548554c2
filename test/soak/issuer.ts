/**
 * An issuer that answers, fails, hangs, lies and replaces its keys, a moment each; then it is well for a calm spell,
 * and begins anew.
 */
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { generateKey, type Key } from "../support/issuer.ts"

type Mood = "good" | "500" | "garbage" | "slow" | "endless" | "redirect" | "429" | "empty" | "hang"

const early: ReadonlyArray<Mood> = ["good", "500", "garbage", "slow", "endless"]
// Whoever waits for an answer sees none of the moods meanwhile: hanging comes last, so that the calm spell is the wait.
const late: ReadonlyArray<Mood> = ["redirect", "good", "429", "good", "empty", "hang"]

/** A key that was published for a whole calm spell. */
export interface Calmed {
  readonly key: Key
  /** When the calm spell began. */
  readonly since: number
}

export interface FlappingIssuer {
  readonly url: string
  /** In every good answer. */
  readonly stable: Key
  /** In every good answer until it is replaced. */
  rotating: Key
  /** The one that was replaced last: in no answer any more. */
  removed: Key
  /** Every key that replaced another. */
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
    // An empty list of keys would be no failure: it takes all keys back.
    empty: (response) => response.end("{}"),
    hang: () => {}
  }

  const flap = async (moods: ReadonlyArray<Mood>) => {
    for (mood of moods) await sleep(moodMillis)
  }
  const rotate = async () => {
    const key = await generateKey("ES256", `rotating-${rotated.length + 1}`)
    // At once: no answer has both keys.
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
