import type { CredentialsMalformed, TokenError, TokenMissing } from "../TokenError.ts"

/** What a verifier says of a token that it does not accept. A missing token, or one that cannot be read, is for the door to tell. */
export type Rejection = Exclude<TokenError, TokenMissing | CredentialsMalformed>
