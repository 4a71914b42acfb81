/** The token of `Authorization: Bearer <token>`; undefined for anything else. It is looked up by its hash, so no comparison leaks. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return /^Bearer +([\w~+/.=-]{1,1024})$/i.exec(authorization ?? '')?.[1];
}
