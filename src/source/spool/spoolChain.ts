import { readdir, rm, rmdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { FerryError } from "#base/errors/ferryError.ts";
import type { ResumeToken } from "#source/stream/resumeToken.ts";
import { decodeFrame, decodeHead, type SegmentHead } from "./spoolFrames.ts";
import { readBodies } from "./spoolSegment.ts";

/** Whose spool it is: that of another capture, or of an earlier copy, is never played. */
export type SpoolOwner = Readonly<{
  capture: string;
  generation: number;
  /** The copy's start position, where the stream begins. */
  start: ResumeToken;
  /** Of the process that writes: each one begins files of its own, so that a frozen one that comes back spoils none. */
  epoch: number;
}>;

/** One file of a spool, as far as it counts. */
export type Segment = {
  readonly path: string;
  /** The position after which it begins. */
  readonly after: ResumeToken;
  /** That of its last frame. */
  last: ResumeToken;
  /** Bytes that are synced. */
  length: number;
};

const NAME = /^\d{20}-(\d{10})\.spool$/;

const digits = (n: number, width: number): string => String(n).padStart(width, "0");

/** The file names of one copy's spool sort as they were written: by process, then by number. */
export const segmentName = (epoch: number, number: number): string =>
  `${digits(epoch, 20)}-${digits(number, 10)}.spool`;

export const folderOf = (dir: string, { capture, generation }: SpoolOwner): string =>
  join(dir, `${capture}-${generation}`);

const namesIn = (folder: string): Promise<string[]> =>
  readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });

/** Walks through a segment, checking it. Undefined where not even its head is whole. @throws FERRY_CAPTURE_SPOOL */
const inspect = async (
  path: string,
  wanted: ResumeToken,
): Promise<Readonly<{ head: SegmentHead; segment: Segment; found: number | undefined }> | undefined> => {
  let [head, segment, found]: [SegmentHead | undefined, Segment | undefined, number | undefined] = [
    undefined,
    undefined,
    undefined,
  ];
  for await (const { bodies } of readBodies(path, 0, (await stat(path)).size))
    for (const { body, end } of bodies) {
      if (segment === undefined) {
        head = decodeHead(body);
        segment = { path, after: head.after, last: head.after, length: end };
      } else {
        segment.last = decodeFrame(body).token;
        segment.length = end;
      }
      if (segment.last.isAt(wanted)) found = end;
    }
  return head === undefined || segment === undefined ? undefined : { head, segment, found };
};

/** Segments that lead on from each other, from the one that holds the position on. */
export type Chain = Readonly<{
  segments: Segment[];
  /** After which byte of the first one the position stands. */
  playedTo: number;
  /** Of the next file: higher than all that are there, also where this process opens its spool again after a pause. */
  number: number;
}>;

const checkHead = (path: string, { capture, generation, start }: SegmentHead, owner: SpoolOwner): void => {
  const { capture: mine, generation: copy, start: begin } = owner;
  if (capture !== mine || generation !== copy || !start.isAt(begin))
    throw new FerryError("FERRY_CAPTURE_SPOOL", `${path} belongs to another capture (${capture}, copy ${generation})`);
};

/**
 * Each process continues after the last complete frame that it found. Later bytes in an older file were written by one
 * that was taken for dead: the later process has read it again. So a chain has no gap; where it begins is for `from` to find.
 */
const extend = async (chain: Segment[], next: Segment): Promise<void> => {
  for (let last = chain.at(-1); last !== undefined && !last.last.isAt(next.after); last = chain.at(-1)) {
    const { found } = (await inspect(last.path, next.after)) ?? {};
    if (found !== undefined) {
      last.length = found;
      last.last = next.after;
    } else {
      chain.pop();
      await unlink(last.path);
    }
  }
  chain.push(next);
};

const clear = async (folder: string, segments: readonly Segment[]): Promise<void> => {
  for (const { path } of segments) await unlink(path);
  await rmdir(folder).catch(() => undefined); // never created, or it has another program's file
};

/**
 * What an earlier process left, checked, as far as it leads on from the position `from`. What does not is removed: the source is
 * asked instead. @throws FERRY_CAPTURE_SPOOL
 */
export const openChain = async (folder: string, owner: SpoolOwner, from: ResumeToken): Promise<Chain> => {
  const names = (await namesIn(folder)).filter((name) => NAME.test(name)).sort();
  const number = Math.max(-1, ...names.map((name) => Number(NAME.exec(name)?.[1]))) + 1;
  const chain: Segment[] = [];
  let at: { segment: Segment; end: number } | undefined;
  for (const name of names) {
    const path = join(folder, name);
    const seen = await inspect(path, from);
    if (seen === undefined) {
      await unlink(path);
      continue;
    }
    checkHead(path, seen.head, owner);
    await extend(chain, seen.segment);
    if (seen.found !== undefined) at ??= { segment: seen.segment, end: seen.found };
  }
  const first = at === undefined ? chain.length : chain.indexOf(at.segment);
  if (at === undefined || first < 0 || at.end > at.segment.length) {
    await clear(folder, chain);
    return { segments: [], playedTo: 0, number };
  }
  for (const { path } of chain.slice(0, first)) await unlink(path);
  return { segments: chain.slice(first), playedTo: at.end, number };
};

/** Removes what a capture has left in the folder, but for one of its copies. */
export const removeSpools = async (dir: string, capture: string, except?: number): Promise<void> => {
  const mine = (await namesIn(dir)).filter((name) => name.startsWith(`${capture}-`));
  for (const name of mine)
    if (name !== `${capture}-${except}`) await rm(join(dir, name), { recursive: true, force: true });
};
