import assert from "node:assert/strict";
import { test } from "node:test";
import { Timestamp } from "bson";
import { plainRoute, type Route } from "#base/config/routes.ts";
import { isFerry } from "#base/errors/ferryError.ts";
import { type BackDeps, servicesBack } from "#process/switch/servicesBack.ts";
import { FakeClock } from "../../../harness/memory/fakeClock.ts";
import { MemoryMongo } from "../../../harness/memory/memoryMongo.ts";

const TOKEN = { _data: "82AB" };

type Cutover = Readonly<{ _id: number; fence?: string; state?: string; namespaces?: readonly string[] }>;

/** Services were sent from `former` to `present` by these cutovers; a run carries back what the ones up to `newest` have switched. */
class Way {
  readonly present = new MemoryMongo();
  readonly former = new MemoryMongo();
  /** What the former side is asked, from the release on. */
  readonly asked: string[] = [];

  async switched(cutovers: readonly Cutover[], behind?: Readonly<{ after: number; newest: number }>): Promise<void> {
    const [forward, back] = [this.present.state("ferry"), this.former.state("ferry_reverse")];
    for (const cutover of cutovers)
      await forward
        .collection("cutovers")
        .insertOne({ state: "over", fence: "validator", namespaces: [], ...cutover } as object);
    const topics = ["s.a", "s.b"].map((name) => ({ name, next: 0 }));
    const capture = { _id: "capture", start: TOKEN, token: TOKEN, topics, scope: { include: [], exclude: [] } };
    await forward.collection("capture").insertOne(capture as object);
    await back.collection("capture").insertOne({ ...capture, behind } as object);
  }

  /** A rollback has sent the services of this topic back already. */
  async returned(topic: string): Promise<void> {
    const switched = { topic, at: Timestamp.fromBits(0, 1) };
    await this.former
      .state("ferry_reverse")
      .collection("runs")
      .insertOne({ _id: topic, switched } as object);
  }

  async release(deps: Partial<BackDeps> = {}): Promise<readonly string[]> {
    const services = await servicesBack({
      source: this.present.client,
      target: this.former.client,
      state: this.former.state("ferry_reverse"),
      onRelease: undefined,
      named: [],
      routes: undefined,
      clock: new FakeClock(),
      ...deps,
    });
    this.former.gate = (command) => void this.asked.push(command);
    await services.release(1000, new AbortController().signal);
    return this.asked;
  }
}

const looksFor = (...names: readonly string[]): readonly string[] => names.map((name) => `listCollections ${name}`);

test("without a cutover that the run carries back there is no way back", async () => {
  const refused = (error: unknown): boolean => isFerry(error, "FERRY_ROLLBACK_NONE");
  const never = new Way();
  await never.switched([{ _id: 1, state: "aborted" }], { after: 0, newest: 1 });
  await assert.rejects(never.release(), refused);
  const others = new Way();
  await others.switched([{ _id: 1 }, { _id: 4 }], { after: 1, newest: 3 });
  await assert.rejects(others.release(), refused, "the first is over and done with, the last not yet carried back");
});

test("the fence of each cutover is lifted from what it has switched, and from nothing else", async () => {
  const way = new Way();
  const cutovers = [
    { _id: 1, namespaces: ["s.a"] },
    { _id: 2, namespaces: ["s.b"] },
    { _id: 3, namespaces: ["s.c"] },
  ];
  await way.switched(cutovers, { after: 1, newest: 2 });
  assert.deepEqual(await way.release(), looksFor("s.b"));
});

test("a cutover of everything is lifted from all that the run carried; what names are given limits it, in the target's words", async () => {
  const everything = new Way();
  await everything.switched([{ _id: 1 }], { after: 0, newest: 1 });
  assert.deepEqual(await everything.release(), looksFor("s.a", "s.b"));
  const some = new Way();
  await some.switched([{ _id: 1 }], { after: 0, newest: 1 });
  const routes: readonly Route[] = [{ ...plainRoute("s.a"), to: { mongodb: "t.x" } }, plainRoute("s.b")];
  assert.deepEqual(await some.release({ named: ["t.x"], routes }), looksFor("s.a"));
});

test("services that went back already write there: their collection's fence is none of this rollback's", async () => {
  const way = new Way();
  await way.switched([{ _id: 1 }], { after: 0, newest: 1 });
  await way.returned("s.a");
  assert.deepEqual(await way.release(), looksFor("s.b"));
});

test("a cluster's block is lifted as one; what a command fenced is left to the operator's own", async () => {
  const blocked = new Way();
  await blocked.switched([{ _id: 1, fence: "user-write-block" }], { after: 0, newest: 1 });
  assert.deepEqual(await blocked.release(), ["setUserWriteBlockMode"]);
  const hooked = new Way();
  await hooked.switched([{ _id: 1, fence: "hook" }], { after: 0, newest: 1 });
  assert.deepEqual(await hooked.release(), []);
});
