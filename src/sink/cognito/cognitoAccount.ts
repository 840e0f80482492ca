import type { CognitoIdentityProviderClient } from "@aws-sdk/client-cognito-identity-provider";
import type { CognitoPlace } from "#base/config/cognitoDestination.ts";
import type { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { type RetryOptions, retryForever } from "#base/flow/retry.ts";
import { cognitoError } from "./cognitoErrors.ts";
import { type QuotaClass, quotasOf } from "./quota.ts";

/** Loaded by the first call, and by no command that makes none: it takes longer than the rest of a command's start. */
const loadSdk = () => import("@aws-sdk/client-cognito-identity-provider");

type Sdk = Awaited<ReturnType<typeof loadSdk>>;

/** Sends one command. `options` end the request with the caller's signal. */
export type Send<T> = (
  sdk: Sdk,
  client: CognitoIdentityProviderClient,
  options: Readonly<{ abortSignal: AbortSignal }>,
) => Promise<T>;

/** On whose behalf a call is made. */
export type Caller = Readonly<{
  signal: AbortSignal;
  onRetry: NonNullable<RetryOptions["onRetry"]>;
}>;

type AccountPlace = Pick<CognitoPlace, "region" | "endpoint" | "quotas">;

/** How long Cognito may take to accept a connection, and to answer, ms. */
const TIMEOUTS = { connectionTimeout: 5000, requestTimeout: 20_000 } as const;
/** Pauses after a refused call, ms: drawn from 0 to a limit that doubles. */
const PAUSES = { pauseMs: 100, maxPauseMs: 20_000 } as const;

/** Failures of one call in a row that are not yet a failure of its batch. */
const PATIENCE = 3;

/**
 * One AWS account in one region: its client, and the quotas that all its pools share. Credentials are found as the AWS SDK finds
 * them (environment, profile, role).
 */
export class CognitoAccount {
  readonly #place: AccountPlace;
  readonly #clock: Clock;
  readonly #quotas: ReturnType<typeof quotasOf>;
  #opened: Promise<readonly [Sdk, CognitoIdentityProviderClient]> | undefined;

  constructor(place: AccountPlace, clock: Clock) {
    this.#place = place;
    this.#clock = clock;
    this.#quotas = quotasOf(place.quotas, clock);
  }

  /**
   * Makes a call when it is its turn in its quota. One that Cognito refuses for its quota is made again after a pause, and so is
   * one that fails, some times: it may have been carried out.
   * @param what for the error
   * @throws FERRY_COGNITO_* but THROTTLED, or the caller's signal's reason
   */
  call<T>(quota: QuotaClass, what: string, send: Send<T>, { signal, onRetry }: Caller): Promise<T> {
    const clock = this.#clock;
    const limit = this.#quotas[quota];
    const attempt = async (): Promise<T> => {
      const takenAt = await limit.take(signal);
      try {
        this.#opened ??= this.#open();
        return await send(...(await this.#opened), { abortSignal: signal });
      } catch (error) {
        signal.throwIfAborted();
        const failure = cognitoError(error, what);
        if (failure.code === "FERRY_COGNITO_THROTTLED") limit.refused(takenAt);
        throw failure;
      }
    };
    let failures = 0;
    const isPassing = ({ code }: FerryError): boolean =>
      code === "FERRY_COGNITO_THROTTLED" || (code === "FERRY_COGNITO_UNREACHABLE" && ++failures < PATIENCE);
    return retryForever(attempt, { what, clock, signal, onRetry, isPassing, ...PAUSES });
  }

  async #open(): Promise<readonly [Sdk, CognitoIdentityProviderClient]> {
    const sdk = await loadSdk();
    const { region, endpoint } = this.#place;
    const client = new sdk.CognitoIdentityProviderClient({
      ...(region === undefined ? {} : { region }),
      ...(endpoint === undefined ? {} : { endpoint }),
      maxAttempts: 1, // each attempt takes its turn in the quota: they are counted here, not in the SDK
      requestHandler: TIMEOUTS,
    });
    return [sdk, client];
  }
}

/** The accounts of a process: pools of one region share theirs, whatever has opened them. */
export class CognitoAccounts {
  readonly #clock: Clock;
  readonly #known = new Map<string, CognitoAccount>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  of(place: AccountPlace): CognitoAccount {
    const key = `${place.region} ${place.endpoint}`;
    const account = this.#known.get(key) ?? new CognitoAccount(place, this.#clock);
    this.#known.set(key, account);
    return account;
  }
}
