import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { FerryError } from "#base/errors/ferryError.ts";
import type { Pinned } from "./pins.ts";

/** How long a site may take to answer, and to send the next bytes, before the next route is tried. */
const ANSWER_MS = 6_000;
const STALL_MS = 15_000;

/** @throws FERRY_STACK_CHECKSUM when the file's bytes are not the pinned ones. */
export const verifyFile = async (file: string, pinned: Pinned): Promise<void> => {
  const hash = createHash(pinned.algorithm);
  await pipeline(createReadStream(file), hash);
  const found = hash.digest("hex");
  if (found !== pinned.digest)
    throw new FerryError(
      "FERRY_STACK_CHECKSUM",
      `${pinned.file} has ${pinned.algorithm} ${found.slice(0, 16)}…, expected ${pinned.digest.slice(0, 16)}…`,
    );
};

const unreachable = (url: URL, reason: string, cause?: unknown): FerryError =>
  new FerryError(
    "FERRY_STACK_DOWNLOAD",
    `cannot download ${url.pathname.split("/").at(-1)} from ${url.host}: ${reason}`,
    {
      cause,
    },
  );

const reasonOf = (error: unknown): string => {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "the name cannot be resolved";
  return code ?? (cause instanceof Error ? cause.message : String(cause));
};

/** Passes chunks on and aborts when none came for a while, so that a stalled mirror costs seconds. */
async function* watched(body: AsyncIterable<Uint8Array>, alive: () => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    alive();
    yield chunk;
  }
}

/**
 * Fetches a pinned file into `to`, verified. A site that does not answer within seconds is given up.
 * @throws FERRY_STACK_DOWNLOAD (unreachable, refused, stalled), FERRY_STACK_CHECKSUM. No file is left behind then.
 */
export const download = async (address: string, to: string, pinned: Pinned): Promise<void> => {
  const url = new URL(address);
  const abort = new AbortController();
  let timer = setTimeout(() => abort.abort(new Error(`no answer within ${ANSWER_MS / 1000} s`)), ANSWER_MS);
  const alive = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => abort.abort(new Error(`no data for ${STALL_MS / 1000} s`)), STALL_MS);
  };
  try {
    const response = await fetch(url, { signal: abort.signal, redirect: "follow" });
    if (!response.ok || response.body === null) throw unreachable(url, `HTTP status ${response.status}`);
    alive();
    await pipeline(watched(response.body, alive), createWriteStream(to), { signal: abort.signal });
    await verifyFile(to, pinned);
  } catch (error) {
    await rm(to, { force: true });
    if (error instanceof FerryError) throw error;
    throw unreachable(url, reasonOf(abort.signal.aborted ? abort.signal.reason : error), error);
  } finally {
    clearTimeout(timer);
  }
};
