import { createWriteStream } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, isAbsolute, join, relative } from "node:path";
import { pipeline } from "node:stream/promises";
import { crc32 } from "node:zlib";
import { type Entry, openPromise } from "yauzl";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { fileError } from "#base/errors/systemError.ts";

/** Of the permissions that an archive keeps of an entry, the executable bits. */
const EXECUTABLE = 0o111;

const modeOf = ({ externalFileAttributes }: Entry): number =>
  ((externalFileAttributes >>> 16) & EXECUTABLE) === 0 ? 0o644 : 0o755;

/** Where an entry goes. @throws FERRY_STACK_CHECKSUM where that is not below `folder` */
const placeOf = (file: string, folder: string, path: string): string => {
  const to = join(folder, path);
  const inside = relative(folder, to);
  if (inside === "" || isAbsolute(inside) || /^\.\.(?:[/\\]|$)/.test(inside))
    throw new FerryError("FERRY_STACK_CHECKSUM", `${file} holds a path outside its folder`);
  return to;
};

/**
 * Unpacks the entries of a zip file (a wheel is one) that `choose` maps to a path below `folder`; keeps executable bits.
 * @returns the number of files written.
 * @throws FERRY_STACK_CHECKSUM when the file is no such archive, or names a path outside its folder; FERRY_FILE
 */
export const unzip = async (
  file: string,
  folder: string,
  choose: (name: string) => string | undefined,
): Promise<number> => {
  let written = 0;
  try {
    const archive = await openPromise(file, { lazyEntries: true });
    for await (const entry of archive.eachEntry()) {
      const path = entry.fileName.endsWith("/") ? undefined : choose(entry.fileName);
      if (path === undefined) continue;
      const to = placeOf(file, folder, path);
      await mkdir(dirname(to), { recursive: true });
      await pipeline(await archive.openReadStreamPromise(entry), createWriteStream(to, { mode: modeOf(entry) }));
      written += 1;
    }
  } catch (error) {
    if (isFerry(error)) throw error;
    const why = `${file} is not a sound zip archive: ${(error as Error).message}`;
    throw fileError(error) ?? new FerryError("FERRY_STACK_CHECKSUM", why, { cause: error });
  }
  return written;
};

const END_OF_DIRECTORY = 0x06054b50;

/**
 * Writes a zip file (a jar is one) of a few small texts, uncompressed. The dates are zero, so equal content gives equal
 * bytes.
 */
export const writeZip = async (file: string, texts: Readonly<Record<string, string>>): Promise<void> => {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [path, text] of Object.entries(texts)) {
    const [name, data] = [Buffer.from(path), Buffer.from(text)];
    // Version needed, flags, method, time, date, crc, both sizes, length of the name, length of the extra field.
    const common = Buffer.alloc(26);
    common.writeUInt16LE(10, 0);
    common.writeUInt32LE(crc32(data), 10);
    common.writeUInt32LE(data.length, 14);
    common.writeUInt32LE(data.length, 18);
    common.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from([0x50, 0x4b, 0x03, 0x04]), common, name, data]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(offset, 10);
    directory.push(Buffer.from([0x50, 0x4b, 0x01, 0x02, 10, 0]), common, rest, name);
    locals.push(local);
    offset += local.length;
  }
  const listing = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(END_OF_DIRECTORY, 0);
  end.writeUInt16LE(locals.length, 8);
  end.writeUInt16LE(locals.length, 10);
  end.writeUInt32LE(listing.length, 12);
  end.writeUInt32LE(offset, 16);
  await writeFile(file, Buffer.concat([...locals, listing, end]));
};
