import { FerryError } from "#base/errors/ferryError.ts";

/** How long a part may take, ms: one that does not answer must not hide the rest. */
const PART_MS = 10_000;

const inTime = async <T>(ms: number, what: string, work: Promise<T>): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new FerryError("FERRY_TIMEOUT", `${what}: no answer within ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
};

/** What could not be read, and why. */
export type UnreadPart = Readonly<{ part: string; reason: string }>;

/** Reads one part of a whole; where that fails, or there is nothing to read it from, it is `otherwise`. */
type ReadPart = <T>(name: string, otherwise: T, work: (() => Promise<T>) | undefined) => Promise<T>;

/** Reads a whole in parts: one that fails, or does not answer, is in `unread`, and does not hide the others. */
export const readingParts = (): Readonly<{ part: ReadPart; unread: readonly UnreadPart[] }> => {
  const unread: UnreadPart[] = [];
  const part: ReadPart = async (name, otherwise, work) => {
    try {
      return work === undefined ? otherwise : await inTime(PART_MS, name, work());
    } catch (error) {
      unread.push({ part: name, reason: error instanceof Error ? error.message : String(error) });
      return otherwise;
    }
  };
  return { part, unread };
};
