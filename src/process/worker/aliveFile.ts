import { writeFile } from "node:fs/promises";
import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";

/** @throws FERRY_USAGE where it cannot be written: a health check without its file would end a healthy worker. */
export const touch = async (file: string, clock: Clock): Promise<void> => {
  try {
    await writeFile(file, `${new Date(clock.now()).toISOString()}\n`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FerryError("FERRY_USAGE", `the alive file cannot be written: ${reason}`, { cause: error });
  }
};
