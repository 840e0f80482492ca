import assert from "node:assert/strict";
import { appendFileSync, existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Binary, BSON } from "bson";
import { Spool } from "#source/spool/spool.ts";
import { removeSpools, type SpoolOwner } from "#source/spool/spoolChain.ts";
import { decodeFrame, type SpoolFrame } from "#source/spool/spoolFrames.ts";
import { ResumeToken } from "#source/stream/resumeToken.ts";
import { tempFolder } from "../../../harness/folders.ts";

const MB = 1024 * 1024;
const token = (n: number): ResumeToken =>
  new ResumeToken(
    BSON.serialize({ _data: `82${String(n).padStart(8, "0")}`, _typeBits: new Binary(Buffer.from([n])) }),
  );
const START = token(0);
const ME: SpoolOwner = { capture: "c0ffee", generation: 1, start: START, epoch: 1 };
const NEVER = new AbortController().signal;

const frame = (n: number, more: Partial<SpoolFrame> & { events?: Uint8Array[] } = {}): SpoolFrame => ({
  events: [Buffer.from(BSON.serialize({ n }))],
  token: token(n),
  invalidated: false,
  cutDown: false,
  ...more,
});

/** About so many bytes. */
const heavy = (n: number, bytes: number): SpoolFrame =>
  frame(n, { events: [Buffer.from(BSON.serialize({ n, text: "x".repeat(bytes) }))] });

const numbers = (events: readonly Uint8Array[]): number[] =>
  events.map((event) => BSON.deserialize(event)["n"] as number);

/** Everything that is played, and the position behind it. */
const playAll = async (spool: Spool): Promise<{ played: number[]; last: string | undefined }> => {
  const played: number[] = [];
  let last: string | undefined;
  for (let batch = await spool.next(); batch !== undefined; batch = await spool.next()) {
    played.push(...numbers(batch.events));
    last = batch.token._data;
  }
  return { played, last };
};

const at = (dir: string, owner: SpoolOwner = ME, from = START, limitBytes = 8 * MB): Promise<Spool> =>
  Spool.open({ dir, limitBytes }, owner, from);

/** Writes frames and leaves, as a process that is killed does. */
const left = async (dir: string, frames: readonly SpoolFrame[], owner = ME): Promise<string> => {
  await using spool = await at(dir, owner);
  for (const one of frames) assert.equal(await spool.append(one), 0);
  return spool.folder;
};

const filesOf = (folder: string): string[] =>
  readdirSync(folder)
    .sort()
    .map((name) => join(folder, name));

const only = (folder: string): string => {
  const [file = "", ...more] = filesOf(folder);
  assert.deepEqual(more, []);
  return file;
};

test("frames are played in their order, while more are written, with their flags and positions", async () => {
  using folder = tempFolder();
  await using spool = await at(folder.path);
  assert.equal(await spool.next(), undefined);
  assert.ok(!existsSync(spool.folder), "nothing is made before something is kept");
  await spool.append(frame(1));
  await spool.append(frame(2, { events: [], invalidated: true }));
  const first = await spool.next();
  assert.deepEqual(numbers(first?.events ?? []), [1]);
  assert.deepEqual([first?.token, first?.invalidated, first?.cutDown], [token(2), true, false]);
  assert.equal(await spool.next(), undefined);
  await spool.append(frame(3, { cutDown: true }));
  assert.deepEqual(spool.newest, token(3));
  assert.equal((await spool.next())?.cutDown, true);
});

test("it is resumed after a kill, after the saved position, in a file of the next process", async () => {
  using folder = tempFolder();
  const dir = await left(folder.path, [frame(1), frame(2), frame(3)]);
  {
    await using second = await at(folder.path, { ...ME, epoch: 2 });
    assert.deepEqual(second.newest, token(3));
    await second.append(frame(4));
  }
  assert.equal(filesOf(dir).length, 2);
  await using third = await at(folder.path, { ...ME, epoch: 3 }, token(2));
  assert.deepEqual(await playAll(third), { played: [3, 4], last: token(4)._data });
});

test("the same process opens it again after a pause: what it writes then comes behind what is left", async () => {
  using folder = tempFolder();
  {
    await using first = await at(folder.path);
    for (let n = 1; n <= 4; n++) await first.append(heavy(n, 1.5 * MB)); // a segment each
    await first.next();
    await first.next();
    await first.release(first.played);
  }
  {
    await using second = await at(folder.path, ME, token(1));
    await second.append(frame(5));
  }
  await using third = await at(folder.path, ME, token(1));
  assert.deepEqual((await playAll(third)).played, [2, 3, 4, 5]);
});

test("a torn last frame is cut, wherever it was torn, and what follows is written behind the last whole one", async () => {
  using folder = tempFolder();
  const file = only(await left(folder.path, [frame(1), frame(2)]));
  const [whole, size] = [readFileSync(file), statSync(file).size];
  const lastBytes = 12 + 3 + token(2).bytes.length + BSON.serialize({ n: 2 }).length;
  for (let bytes = size - lastBytes; bytes < size; bytes++) {
    writeFileSync(file, whole.subarray(0, bytes));
    await using spool = await at(folder.path, { ...ME, epoch: 2 });
    assert.deepEqual(spool.newest, token(1), `${bytes} of ${size} bytes`);
    assert.deepEqual((await playAll(spool)).played, [1]);
  }
  {
    await using spool = await at(folder.path, { ...ME, epoch: 2 });
    await spool.append(frame(7));
  }
  await using spool = await at(folder.path, { ...ME, epoch: 3 });
  assert.deepEqual((await playAll(spool)).played, [1, 7]);
});

test("what a power cut leaves, zeros or a wrong last body, is a torn end too; a file without a whole head is none", async () => {
  using folder = tempFolder();
  const file = only(await left(folder.path, [frame(1), frame(2)]));
  appendFileSync(file, Buffer.alloc(100));
  assert.deepEqual((await at(folder.path)).newest, token(2));
  truncateSync(file, statSync(file).size - 100);
  const bytes = readFileSync(file);
  bytes.writeUInt8(255, bytes.length - 1);
  writeFileSync(file, bytes);
  assert.deepEqual((await at(folder.path)).newest, token(1));
  truncateSync(file, 20);
  assert.ok((await at(folder.path)).isEmpty);
});

test("damage with something behind it is named: in a body, and in a length", async () => {
  using folder = tempFolder();
  const file = only(await left(folder.path, [frame(1), frame(2), frame(3)]));
  const whole = readFileSync(file);
  const second = whole.indexOf(token(2).bytes) - 3;
  for (const position of [second, second - 12]) {
    const bytes = Buffer.from(whole);
    bytes.writeUInt8((bytes[position] ?? 0) ^ 1, position);
    writeFileSync(file, bytes);
    await assert.rejects(at(folder.path), { code: "FERRY_CAPTURE_SPOOL" });
  }
});

test("a spool of another capture, copy or start is not played", async () => {
  using folder = tempFolder();
  const dir = await left(folder.path, [frame(1)]);
  const other = await at(folder.path, { ...ME, capture: "decade" });
  assert.ok(other.isEmpty);
  await assert.rejects(at(folder.path, { ...ME, start: token(9) }), { code: "FERRY_CAPTURE_SPOOL" });
  assert.ok(existsSync(dir));
  assert.ok((await at(folder.path, { ...ME, generation: 2 })).isEmpty);
  assert.ok(!existsSync(dir), "the former copy's is of no use");
  await left(folder.path, [frame(1)]);
  await removeSpools(folder.path, ME.capture);
  assert.ok(!existsSync(dir));
});

test("from an unknown position the source is read: the spool is removed", async () => {
  using folder = tempFolder();
  const dir = await left(folder.path, [frame(1), frame(2)]);
  await using spool = await at(folder.path, ME, token(5));
  assert.ok(spool.isEmpty);
  assert.deepEqual(spool.newest, token(5));
  assert.ok(!existsSync(dir));
});

test("what a frozen process writes after it was taken for dead is passed over", async () => {
  using folder = tempFolder();
  await using frozen = await at(folder.path);
  await frozen.append(frame(1));
  {
    await using second = await at(folder.path, { ...ME, epoch: 2 });
    await frozen.append(heavy(2, 2 * MB));
    await frozen.append(frame(3)); // in a segment of its own
    await second.append(frame(20));
  }
  await using third = await at(folder.path, { ...ME, epoch: 3 });
  assert.deepEqual((await playAll(third)).played, [1, 20]);
});

test("full at its limit, with room again when segments are played and their position is saved", async () => {
  using folder = tempFolder();
  await using spool = await at(folder.path);
  let n = 0;
  let lacking = 0;
  while (lacking === 0) lacking = await spool.append(heavy(++n, MB / 2));
  assert.ok(lacking > MB / 2 && spool.bytes <= 8 * MB && spool.bytes > 7 * MB, `${spool.bytes} bytes`);
  let hasRoom = false;
  const room = spool.room(lacking, NEVER).then(() => {
    hasRoom = true;
  });
  const kept = filesOf(spool.folder).length;
  await spool.release(spool.played);
  assert.equal(filesOf(spool.folder).length, kept, "nothing was played");
  for (let played = 0; played === 0; played = spool.played) await spool.next();
  assert.ok(!hasRoom);
  await spool.release(spool.played);
  await room;
  assert.equal(await spool.append(frame(n)), 0);
  const { last } = await playAll(spool);
  assert.equal(last, token(n)._data);
  await spool.finish();
  await playAll(spool);
  await spool.release(spool.played);
  assert.ok(!existsSync(spool.folder), "nothing is left behind");
  const aborted = AbortSignal.abort(new Error("stop"));
  await spool.append(heavy(n + 1, 8 * MB)); // larger than the limit, and alone
  await assert.rejects(spool.room(1, aborted), /stop/);
});

test("a frame of an older ferry, which kept the text of a token alone, is read", () => {
  const [text, event] = [Buffer.from("8265000000010000"), BSON.serialize({ n: 1 })];
  const body = Buffer.concat([Buffer.from([0, text.length, 0]), text, event]);
  const { token, events } = decodeFrame(body);
  assert.equal(token._data, text.toString());
  assert.deepEqual(numbers(events), [1]);
});
