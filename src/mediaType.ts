/** A header's `typ` in the form that is compared: lower case, without `application/` (RFC 7515 section 4.1.9). */
export const mediaType = (typ: string): string => typ.toLowerCase().replace(/^application\//, "")

/** Whether this is the type that says no more than that the token is a JWT (RFC 7519 section 5.1). */
export const isJwt = (typ: unknown): boolean => typeof typ === "string" && mediaType(typ) === "jwt"
