/** The form of a header's `typ` that is compared: lower case, without `application/` (RFC 7515 section 4.1.9). */
export const mediaType = (typ: string): string => typ.toLowerCase().replace(/^application\//, "")

/** Whether a `typ` says only that the token is a JWT, and not of which kind (RFC 7519 section 5.1). */
export const isJwt = (typ: unknown): boolean => typeof typ === "string" && mediaType(typ) === "jwt"
