import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** The answer of a fake network to a GET of a URL. `hang` never answers, and `refuse` is a closed port. */
export type Answer = (url: string) => Response | Promise<Response> | "hang" | "refuse"

/** A fake network. A test can change its answers and read the requests that were made. */
export interface Network {
  answer: Answer
  readonly requests: Array<{ readonly url: string; readonly headers: Readonly<Record<string, string>> }>
  readonly layer: Layer.Layer<HttpClient.HttpClient>
}

/** Makes a fake network with these answers. */
export const network = (answer: Answer): Network => {
  const self: Network = {
    answer,
    requests: [],
    layer: Layer.sync(HttpClient.HttpClient, () =>
      HttpClient.make((request) => {
        self.requests.push({ url: request.url, headers: request.headers })
        const answered = self.answer(request.url)
        if (answered === "hang") return Effect.never
        if (answered === "refuse") return new HttpClientError.RequestError({ request, reason: "Transport" })
        return Effect.map(
          Effect.promise(async () => answered),
          (response) => HttpClientResponse.fromWeb(request, response)
        )
      })
    )
  }
  return self
}
