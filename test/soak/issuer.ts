/**
 * An issuer that is never well for long: it answers, fails, hangs, lies and replaces its keys, a moment each.
 */
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { generateKey, type Key } from "../support/issuer.ts"

const moods = ["good", "500", "hang", "good", "garbage", "slow", "endless", "redirect", "429", "good", "empty"] as const

export interface FlappingIssuer {
  readonly url: string
  /** In every good answer. */
  readonly stable: Key
  /** In every good answer until it is replaced. */
  rotating: Key
  /** Replaced; with the time of the first good answer without it, once there was one. */
  removed: { readonly key: Key; unpublishedAt: number | undefined }
  readonly requests: () => number
  readonly stop: () => void
}

export const start = async (moodMillis: number): Promise<FlappingIssuer> => {
  let mood = 0
  let requests = 0
  const server = createServer((_request, response) => {
    requests++
    answers[moods[mood % moods.length]!](response)
  })
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const issuer: FlappingIssuer = {
    url,
    stable: await generateKey("ES256", "stable"),
    rotating: await generateKey("ES256", "rotating-0"),
    removed: { key: await generateKey("ES256", "never"), unpublishedAt: undefined },
    requests: () => requests,
    stop: () => {
      clearInterval(timer)
      server.close()
      server.closeAllConnections()
    }
  }

  const publish = (response: ServerResponse) => {
    const { removed } = issuer
    const body = JSON.stringify({ keys: [issuer.stable.jwk, issuer.rotating.jwk] })
    response.end(body, () => (removed.unpublishedAt ??= Date.now()))
  }
  const answers: { readonly [Mood in (typeof moods)[number]]: (response: ServerResponse) => void } = {
    good: publish,
    "500": (response) => response.writeHead(500).end(),
    hang: () => {},
    garbage: (response) => response.end("<html>{"),
    slow: (response) => void setTimeout(() => publish(response), moodMillis / 2),
    endless: (response) => {
      const drip = setInterval(() => response.write(" ".repeat(65_536)), 5)
      response.on("close", () => clearInterval(drip))
    },
    redirect: (response) => response.writeHead(302, { location: `${url}/elsewhere` }).end(),
    "429": (response) => response.writeHead(429, { "retry-after": "1" }).end(),
    empty: (response) => response.end('{"keys":[]}')
  }

  let rotations = 0
  const timer = setInterval(() => {
    mood++
    if (mood % moods.length !== 0) return
    void generateKey("ES256", `rotating-${++rotations}`).then((key) => {
      issuer.removed = { key: issuer.rotating, unpublishedAt: undefined }
      issuer.rotating = key
    })
  }, moodMillis)
  return issuer
}
