import assert from "node:assert/strict";
import type { ErrorCode } from "#base/errors/catalogue.ts";
import { isFerry } from "#base/errors/ferryError.ts";

/** What a user gets wrong, and what the error says of it. */
export type Mistake = readonly [what: string, take: () => unknown, says: RegExp, code?: ErrorCode];

/** Each is refused by a sentence that names it. How commands end with the same mistakes: test/integration/bad-input.test.ts. */
export const refusesEach = (mistakes: readonly Mistake[]): void => {
  for (const [what, take, says, code = "FERRY_USAGE"] of mistakes)
    assert.throws(
      take,
      (error) => isFerry(error, code) && says.test(`${error.detail}\n${error.entry.hint}`),
      `${what}: ${says}`,
    );
};
