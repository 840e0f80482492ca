import { FerryError } from "#base/errors/ferryError.ts";
import { fileReason } from "#base/errors/systemError.ts";

/** Who asks; a secret may change. */
export type TokenClient = Readonly<{ id: () => string; secret: () => string; scope: string | undefined }>;

/** How long an endpoint may take, ms. */
const PATIENCE_MS = 10_000;

/**
 * Asks an OAuth 2.0 endpoint for a token whenever a connection needs one.
 * Source: RFC 6749, section 4.4, "Client Credentials Grant".
 * @returns throws FERRY_KAFKA_AUTH where the endpoint gives none
 */
export const tokenFrom =
  (endpoint: string, { id, secret, scope }: TokenClient): (() => Promise<string>) =>
  async () => {
    const refused = (reason: string): FerryError =>
      new FerryError("FERRY_KAFKA_AUTH", `${endpoint} gives no token: ${reason}`);
    const body = new URLSearchParams({ grant_type: "client_credentials", ...(scope === undefined ? {} : { scope }) });
    const login = Buffer.from(`${encodeURIComponent(id())}:${encodeURIComponent(secret())}`).toString("base64");
    const answer = await fetch(endpoint, {
      method: "POST",
      headers: { authorization: `Basic ${login}`, accept: "application/json" },
      body,
      signal: AbortSignal.timeout(PATIENCE_MS),
    }).catch((error: unknown) => {
      throw refused(fileReason(error instanceof Error && error.cause !== undefined ? error.cause : error));
    });
    if (!answer.ok) throw refused(`HTTP status ${answer.status}`);
    const { access_token: token } = (await answer.json().catch(() => ({}))) as { access_token?: unknown };
    if (typeof token !== "string" || token === "") throw refused("its answer has no access_token");
    return token;
  };
