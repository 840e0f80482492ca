import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fairShare } from "#process/worker/ownership.ts";

type Partition = { route: string; partition: number; owner: string | null };
const keyOf = ({ route, partition }: Partition): string => `${route}/${partition}`;

/** Every living worker takes a turn, until no turn moves anything. Answers how many turns moved something. */
const settle = (
  workers: readonly string[],
  partitions: Partition[],
  carries: (worker: string, route: string) => boolean = () => true,
): { moves: number; rounds: number } => {
  const routes = [...new Set(partitions.map(({ route }) => route))];
  const living = workers.map((id) => ({ id, routes: routes.filter((route) => carries(id, route)) }));
  let moves = 0;
  for (let round = 0; round < 20; round++) {
    let moved = 0;
    for (const me of workers) {
      const mine = new Set(partitions.filter((p) => p.owner === me).map(keyOf));
      const share = fairShare(
        me,
        { workers: living, partitions: partitions.filter(({ route }) => carries(me, route)) },
        mine,
      );
      for (const { route, partition } of share.release) {
        const found = partitions.find((p) => p.route === route && p.partition === partition);
        assert.ok(found !== undefined && found.owner === me, "only its own is released");
        found.owner = null;
        moved++;
      }
      for (const { route, partition } of share.claim) {
        const found = partitions.find((p) => p.route === route && p.partition === partition);
        assert.ok(found !== undefined && found.owner === null, "only what is free is claimed");
        found.owner = me;
      }
    }
    moves += moved;
    if (moved === 0 && partitions.every((p) => p.owner !== null)) return { moves, rounds: round };
  }
  assert.fail(`no rest after 20 rounds: ${JSON.stringify({ workers, partitions })}`);
};

const workerNames = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,6}$/), { minLength: 1, maxLength: 6 });
const counts = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 3 });
const partitionsOf = (sizes: readonly number[]): Partition[] =>
  sizes.flatMap((size, route) =>
    Array.from({ length: size }, (_, partition) => ({ route: `t${route}`, partition, owner: null })),
  );

test("every partition gets one owner, and shares differ by one at most", () => {
  fc.assert(
    fc.property(workerNames, counts, (workers, sizes) => {
      const partitions = partitionsOf(sizes);
      settle(workers, partitions);
      const shares = workers.map((worker) => partitions.filter((p) => p.owner === worker).length);
      assert.ok(Math.max(...shares) - Math.min(...shares) <= 1);
    }),
  );
});

test("a death moves only what the dead one had", () => {
  fc.assert(
    fc.property(workerNames, counts, fc.nat(), (workers, sizes, dead) => {
      fc.pre(workers.length > 1);
      const partitions = partitionsOf(sizes);
      settle(workers, partitions);
      const gone = workers[dead % workers.length] as string;
      for (const p of partitions) if (p.owner === gone) p.owner = null;
      const { moves } = settle(
        workers.filter((worker) => worker !== gone),
        partitions,
      );
      // The remainder goes by name, so one partition per worker may change hands besides.
      assert.ok(moves <= workers.length - 1, `${moves} moves among ${workers.length - 1} survivors`);
    }),
  );
});

test("a new worker gets its share: the others release exactly that much", () => {
  fc.assert(
    fc.property(workerNames, counts, (names, sizes) => {
      fc.pre(names.length > 1);
      const [newcomer, ...workers] = names as [string, ...string[]];
      const partitions = partitionsOf(sizes);
      settle(workers, partitions);
      const { moves } = settle([...workers, newcomer], partitions);
      assert.ok(moves <= Math.ceil(partitions.length / names.length) + workers.length);
    }),
  );
});

test("workers that carry different routes: each partition comes to one that carries it, and nothing is left lying", () => {
  fc.assert(
    fc.property(workerNames, counts, fc.array(fc.nat(7), { minLength: 6, maxLength: 6 }), (workers, sizes, masks) => {
      const carries = (worker: string, route: string): boolean => {
        const mask = masks[workers.indexOf(worker)] ?? 0;
        return (mask & (1 << Number(route.slice(1)))) !== 0;
      };
      const partitions = partitionsOf(sizes).filter(({ route }) => workers.some((worker) => carries(worker, route)));
      settle(workers, partitions, carries);
      for (const { owner, route } of partitions) assert.ok(owner !== null && carries(owner, route));
    }),
  );
});

test("a worker of a ferry that does not say its routes counts for all", () => {
  const partitions = partitionsOf([4]);
  const share = fairShare("new", { workers: [{ id: "old", routes: undefined }], partitions }, new Set());
  assert.equal(share.claim.length, 2);
});

test("a worker that has not been seen yet counts itself", () => {
  const partitions = partitionsOf([4]);
  const share = fairShare("new", { workers: [], partitions }, new Set());
  assert.equal(share.claim.length, 4);
});
