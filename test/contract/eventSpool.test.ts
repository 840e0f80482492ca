/** Replies of the source that are kept while the copy runs: in files, and in memory where the simulation works with them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON } from "bson";
import type { EventSpool } from "#source/spool/eventSpool.ts";
import { Spool } from "#source/spool/spool.ts";
import type { SpoolFrame } from "#source/spool/spoolFrames.ts";
import type { ResumeToken } from "#source/stream/resumeToken.ts";
import { tempFolder } from "../harness/folders.ts";
import { tokenAt } from "../harness/memory/captureSource.ts";
import { MemorySpool, type SpoolFiles } from "../harness/memory/spool.ts";

const MB = 1024 * 1024;
const LIMIT_BYTES = 4 * MB;
/** Two of them fit. */
const HEAVY_BYTES = 1.5 * MB;

/** What lies on one machine, and the processes that open it one after the other, from a position. */
type Machine = Disposable & Readonly<{ open: (from: ResumeToken) => Promise<EventSpool> }>;

const token = (n: number): ResumeToken => tokenAt(BigInt(n + 1) << 32n);
const START = token(0);

const FORMS: Readonly<Record<string, () => Machine>> = {
  files: () => {
    const folder = tempFolder();
    let epoch = 0;
    return {
      open: (from) => {
        const owner = { capture: "contract", generation: 1, start: START, epoch: ++epoch };
        return Spool.open({ dir: folder.path, limitBytes: LIMIT_BYTES }, owner, from);
      },
      [Symbol.dispose]: () => folder[Symbol.dispose](),
    };
  },
  memory: () => {
    const files: SpoolFiles = { last: undefined };
    return {
      open: async (from) => new MemorySpool(files, from, LIMIT_BYTES, async () => undefined),
      [Symbol.dispose]: () => undefined,
    };
  },
};

const frame = (n: number, bytes = 0, more: Partial<SpoolFrame> = {}): SpoolFrame => ({
  events: [BSON.serialize({ n, text: "x".repeat(bytes) })],
  token: token(n),
  invalidated: false,
  cutDown: false,
  ...more,
});

const never = new AbortController().signal;

/** Everything that is there to play: the events' numbers. The last reply's position is that of the last frame. */
const playAll = async (spool: EventSpool): Promise<readonly number[]> => {
  const played: number[] = [];
  for (let reply = await spool.next(); reply !== undefined; reply = await spool.next()) {
    played.push(...reply.events.map((event) => BSON.deserialize(event)["n"] as number));
    assert.equal(
      reply.bytes,
      reply.events.reduce((sum, { length }) => sum + length, 0),
    );
    if (reply.events.length > 0) assert.equal(reply.token._data, token(played.at(-1) ?? 0)._data);
  }
  return played;
};

for (const [form, machine] of Object.entries(FORMS)) {
  test(`${form}: frames are played in their order, while more are kept, with their flags`, async () => {
    using disk = machine();
    await using spool = await disk.open(START);
    assert.deepEqual([spool.isEmpty, spool.bytes, spool.full], [true, 0, undefined]);
    assert.equal(spool.newest._data, START._data);
    assert.equal(await spool.next(), undefined);
    for (const n of [1, 2]) assert.equal(await spool.append(frame(n)), 0);
    assert.deepEqual(await playAll(spool), [1, 2]);
    assert.equal(await spool.append(frame(3, 0, { events: [], invalidated: true })), 0);
    const reply = await spool.next();
    assert.deepEqual([reply?.events, reply?.invalidated, reply?.cutDown], [[], true, false]);
    assert.equal(await spool.append(frame(4, 0, { cutDown: true })), 0);
    assert.equal((await spool.next())?.cutDown, true);
    assert.equal(spool.newest._data, token(4)._data);
    assert.ok(!spool.isEmpty && spool.bytes > 0, "what was played is kept until its position is saved");
    await spool.finish();
    assert.deepEqual(await playAll(spool), []);
    await spool.release(spool.played);
    assert.deepEqual([spool.isEmpty, spool.bytes], [true, 0]);
  });

  test(`${form}: the next process plays what comes after the saved position, and keeps more behind it`, async () => {
    using disk = machine();
    {
      await using first = await disk.open(START);
      for (const n of [1, 2, 3]) await first.append(frame(n));
      assert.deepEqual(await playAll(first), [1, 2, 3]);
    }
    {
      await using second = await disk.open(token(1));
      assert.equal(second.newest._data, token(3)._data);
      assert.equal(await second.append(frame(4)), 0);
    }
    await using third = await disk.open(token(2));
    assert.deepEqual(await playAll(third), [3, 4]);
  });

  test(`${form}: what does not lead on from the saved position is not played`, async () => {
    using disk = machine();
    {
      await using first = await disk.open(START);
      for (const n of [1, 2]) await first.append(frame(n, HEAVY_BYTES));
      await first.finish();
      assert.deepEqual(await playAll(first), [1, 2]);
      await first.release(1); // its position was not saved after all
    }
    await using second = await disk.open(START);
    assert.deepEqual([second.isEmpty, second.newest._data], [true, START._data]);
    assert.equal(await second.next(), undefined);
  });

  test(`${form}: one that is full says how much it lacks, and takes more when what was played is released`, async () => {
    using disk = machine();
    await using spool = await disk.open(START);
    for (const n of [1, 2]) assert.equal(await spool.append(frame(n, HEAVY_BYTES)), 0);
    const lacking = await spool.append(frame(3, HEAVY_BYTES));
    assert.ok(lacking >= HEAVY_BYTES);
    assert.ok(spool.full !== undefined);
    assert.equal(spool.newest._data, token(2)._data, "nothing of it is kept");
    const ended = new AbortController();
    const waiting = spool.room(lacking, ended.signal);
    ended.abort(new Error("the test ends it"));
    await assert.rejects(waiting, /the test ends it/);
    const room = spool.room(lacking, never);
    assert.deepEqual(await playAll(spool), [1, 2]);
    await spool.release(1);
    await room;
    assert.equal(await spool.append(frame(3, HEAVY_BYTES)), 0);
    assert.equal(spool.full, undefined);
    assert.deepEqual(await playAll(spool), [3]);
  });
}
