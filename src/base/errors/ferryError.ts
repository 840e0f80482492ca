import { CATALOGUE, type CatalogueEntry, type ErrorCode } from "./catalogue.ts";
import { valueWithoutSecrets, withoutSecrets } from "./secrets.ts";

/**
 * The one error class. `detail` is a sentence about this case; meaning, hint, retry and exit derive from `code`. Secrets
 * leave the sentence and the facts here, before anything prints, logs or stores them.
 */
export class FerryError extends Error {
  readonly code: ErrorCode;
  readonly detail: string;
  /** Bounded facts for the log line and `--json`; never a document body, never a URI with credentials. */
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    detail: string,
    options: Readonly<{ cause?: unknown; facts?: Record<string, unknown> }> = {},
  ) {
    const shown = withoutSecrets(detail);
    super(`${code}: ${shown}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "FerryError";
    this.code = code;
    this.detail = shown;
    this.facts = valueWithoutSecrets(options.facts ?? {}) as Readonly<Record<string, unknown>>;
  }

  get entry(): CatalogueEntry {
    return CATALOGUE[this.code];
  }
}

/** Is this a FerryError, optionally one of these codes? */
export const isFerry = (error: unknown, ...codes: readonly ErrorCode[]): error is FerryError =>
  error instanceof FerryError && (codes.length === 0 || codes.includes(error.code));

/** An assertion: a broken invariant stops the process before it can harm data. @throws FERRY_BUG */
export function assert(condition: unknown, sentence: string): asserts condition {
  if (!condition) throw new FerryError("FERRY_BUG", sentence);
}
