import { type FileHandle, open } from "node:fs/promises";
import { FerryError } from "#base/errors/ferryError.ts";
import { bodyAt } from "./spoolFrames.ts";

/** Bytes of one read; a larger frame is read completely. */
const READ_BYTES = 4 * 1024 * 1024;

/** Bodies of frames that were read together, and where in the file the last of them ends. */
export type Bodies = Readonly<{ bodies: readonly Readonly<{ body: Buffer; end: number }>[]; end: number }>;

const readAt = async (file: FileHandle, at: number, bytes: number): Promise<Buffer> => {
  const buffer = Buffer.allocUnsafeSlow(bytes);
  let filled = 0;
  while (filled < bytes) {
    const { bytesRead } = await file.read(buffer, filled, bytes - filled, at + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
};

/** A file system that grew the file before a power cut, and did not write it, leaves zeros. */
const isZero = (bytes: Buffer): boolean => bytes.every((byte) => byte === 0);

/**
 * The frames of a segment from `from` (the begin of a frame) to `until`. A torn last frame ends it quietly: it was never said to be
 * kept. @throws FERRY_CAPTURE_SPOOL for damage with something behind it
 */
export async function* readBodies(path: string, from: number, until: number): AsyncGenerator<Bodies> {
  await using file = await open(path, "r");
  let at = from;
  for (let want = READ_BYTES; at < until; ) {
    const asked = Math.min(want, until - at);
    const bytes = await readAt(file, at, asked);
    const isRest = bytes.length < asked || at + asked === until;
    const bodies: { body: Buffer; end: number }[] = [];
    let done = 0;
    let next = bodyAt(bytes, 0);
    for (; "body" in next; next = bodyAt(bytes, done)) {
      done = next.end;
      bodies.push({ body: next.body, end: at + done });
    }
    at += done;
    if (bodies.length > 0) yield { bodies, end: at };
    if ("needs" in next) {
      if (isRest) return;
      want = Math.max(READ_BYTES, next.needs);
    } else if (next.damagedTo === undefined && !isRest) want = until - at;
    else if (isRest && (next.damagedTo === bytes.length || isZero(bytes.subarray(done)))) return;
    else throw new FerryError("FERRY_CAPTURE_SPOOL", `${path} is damaged at byte ${at}`);
  }
}
