import assert from "node:assert/strict";
import { test } from "node:test";
import { Long } from "bson";
import { isFerry } from "#base/errors/ferryError.ts";
import { requireNoServices } from "#process/capture/servicesThere.ts";
import { reverseState } from "#process/capture/stateNames.ts";
import { MemoryMongo } from "../../../harness/memory/memoryMongo.ts";

const at = (minute: number): Date => new Date(Date.UTC(2026, 0, 1, 0, minute));

const world = () => {
  const [source, target] = [new MemoryMongo(), new MemoryMongo()];
  const cutover = (
    mongo: MemoryMongo,
    state: string,
    _id: number,
    minute: number,
    names: readonly string[],
    end = "over",
  ) =>
    mongo
      .state(state)
      .collection("cutovers")
      .insertOne({ _id, state: end, namespaces: [...names], entered: { ending: at(minute) } } as object);
  const began = async (state: string, minute: number, topics: readonly string[]): Promise<void> => {
    for (const topic of topics)
      await target
        .state(state)
        .collection("partitions")
        .insertOne({ _id: `${topic}/0`, route: topic, topic } as object);
    const token = { _data: "82" };
    const record = { _id: "capture", startedAt: at(minute), start: token, token, epoch: Long.ZERO };
    await target.state(state).collection("capture").deleteMany({});
    await target
      .state(state)
      .collection("capture")
      .insertOne(record as object);
  };
  const isRefused = async (topics: readonly string[], states = ["ferry"]): Promise<boolean> => {
    try {
      await requireNoServices({
        ...{ states: states.map((name) => target.state(name)), routes: undefined, topics },
        backOf: ({ name }) => source.state(reverseState(name)),
      });
      return false;
    } catch (error) {
      assert.ok(isFerry(error, "FERRY_REPLACE_SWITCHED"), `${error}`);
      return true;
    }
  };
  return { source, target, cutover, began, isRefused };
};

test("what services write to since a cutover is not emptied, by whatever state, until a rollback has sent them back", async () => {
  const { source, target, cutover, began, isRefused } = world();
  await began("ferry", 1, ["s.a", "s.b"]);
  assert.equal(await isRefused(["s.a"]), false, "nothing was switched over");
  await cutover(target, "ferry", 1, 10, ["s.a"]);
  assert.equal(await isRefused(["s.a", "s.b"]), true);
  assert.equal(await isRefused(["s.b"]), false, "its services are on the source");
  assert.equal(await isRefused(["s.a"], ["other", "ferry"]), true, "whoever asks");
  await cutover(source, "ferry_reverse", 1, 20, []);
  assert.equal(await isRefused(["s.a"]), false, "they are back");
  await cutover(target, "ferry", 2, 30, []);
  assert.equal(await isRefused(["s.b"]), true, "and there again, behind the rollback");
  await began("ferry", 40, []);
  assert.equal(await isRefused(["s.a", "s.b"]), false, "another run took its place since, with services on the source");
});

test("a cutover that went back, or was only tried, has sent no service; one that is at its end has", async () => {
  const { target, cutover, began, isRefused } = world();
  await began("ferry", 1, ["s.a"]);
  await cutover(target, "ferry", 1, 10, [], "back");
  assert.equal(await isRefused(["s.a"]), false);
  await cutover(target, "ferry", 2, 11, [], "ending");
  assert.equal(await isRefused(["s.a"]), true);
});
