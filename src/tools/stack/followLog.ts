import { open, stat } from "node:fs/promises";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";

/**
 * Lines that are added to a file from now on, each when it is complete. A file that shrinks is read again from its
 * start. Ends when `signal` aborts, by its reason.
 */
export async function* followLog(file: string, signal: AbortSignal): AsyncGenerator<string> {
  let position = await sizeOf(file);
  let rest = "";
  for (;;) {
    const size = await waitFor(
      async () => {
        const now = await sizeOf(file);
        return now === position ? { seen: "no new line" } : { done: now };
      },
      { what: `${file} to grow`, clock: systemClock, timeoutMs: Number.POSITIVE_INFINITY, everyMs: 200, signal },
    );
    if (size < position) position = 0;
    const lines = (rest + (await readRange(file, position, size))).split("\n");
    position = size;
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

const sizeOf = async (file: string): Promise<number> => {
  try {
    return (await stat(file)).size;
  } catch {
    return 0; // not started yet
  }
};

const readRange = async (file: string, from: number, to: number): Promise<string> => {
  await using handle = await open(file, "r");
  const { bytesRead, buffer } = await handle.read(Buffer.alloc(to - from), 0, to - from, from);
  return buffer.toString("utf8", 0, bytesRead);
};
