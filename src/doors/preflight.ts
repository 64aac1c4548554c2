/** A CORS preflight: browsers send it before a request, without credentials, so that it cannot be challenged. */
export const isPreflight = (request: {
  readonly method?: string | undefined
  readonly headers: { readonly [name: string]: unknown }
}): boolean =>
  request.method === "OPTIONS" &&
  request.headers["origin"] !== undefined &&
  request.headers["access-control-request-method"] !== undefined
