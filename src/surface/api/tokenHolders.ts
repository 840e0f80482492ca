import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { hashOf, type TokenFacts, type TokenStore } from "#process/control/tokenStore.ts";
import { FailedLogins } from "./failedLogins.ts";

/** How long what is known of a token is used, ms: a token that is revoked is refused after this at the latest. */
const FRESH_MS = 1000;

const refused = (detail: string): FerryError => new FerryError("FERRY_API_TOKEN", detail);

/** The token of an `Authorization` header. @throws FERRY_API_TOKEN */
const bearerOf = (header: string | undefined): string => {
  const [, token] = /^Bearer +(\S+)$/i.exec(header ?? "") ?? [];
  if (token === undefined) throw refused("the request has no `Authorization: Bearer TOKEN`");
  return token;
};

const valid = (found: TokenFacts | undefined): TokenFacts => {
  if (found === undefined) throw refused("no such token");
  if (found.state !== "valid") throw refused(`token ${found.id} is ${found.state}`);
  return found;
};

/** Knows whose request it is. Many requests with one token ask the database once a second. */
export class TokenHolders {
  readonly #tokens: Pick<TokenStore, "find">;
  readonly #clock: Pick<Clock, "now">;
  readonly #failed: FailedLogins;
  /** By the token's hash: only tokens that were valid when they were last looked at, or are being looked at now. */
  readonly #known = new Map<string, Readonly<{ at: number; holder: Promise<TokenFacts> }>>();

  constructor(tokens: Pick<TokenStore, "find">, clock: Pick<Clock, "now">) {
    this.#tokens = tokens;
    this.#clock = clock;
    this.#failed = new FailedLogins(clock);
  }

  /** @throws FERRY_API_TOKEN, FERRY_API_LIMIT, FERRY_MONGO_* */
  async holderOf(header: string | undefined, address: string): Promise<TokenFacts> {
    const hash = hashOf(bearerOf(header));
    const known = this.#known.get(hash);
    const now = this.#clock.now();
    if (known !== undefined && now - known.at < FRESH_MS) return known.holder;
    // One that was valid a moment ago is no guess: failures of others at the same address do not lock it out.
    const holder = known === undefined ? this.#tried(hash, address) : this.#look(hash);
    this.#known.set(hash, { at: now, holder });
    holder.catch(() => this.#known.delete(hash));
    return holder;
  }

  async #look(hash: string): Promise<TokenFacts> {
    return valid(await this.#tokens.find(hash));
  }

  async #tried(hash: string, address: string): Promise<TokenFacts> {
    this.#failed.begin(address);
    try {
      const holder = await this.#look(hash);
      this.#failed.succeeded(address);
      return holder;
    } catch (error) {
      if (!isFerry(error, "FERRY_API_TOKEN")) this.#failed.succeeded(address); // the database is away: no guess
      throw error;
    }
  }
}
