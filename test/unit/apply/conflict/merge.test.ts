import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { differing, merge, remainder } from "#apply/conflict/merge.ts";

/** Names as servers keep them, of bytes: some are no UTF-8, and one text to a lenient decoder. */
const NAMES = ["61", "62", "ff", "fe", "61ff", "61fe", "efbfbd", "5c786666"];

type Doc = ReadonlyMap<string, number>;

const documents = fc
  .uniqueArray(fc.tuple(fc.constantFrom(...NAMES), fc.nat(3)), { selector: ([name]) => name })
  .map((fields): Doc => new Map(fields));

const encode = (doc: Doc): Buffer => {
  const fields = [...doc].map(([name, value]) =>
    Buffer.from(`10${name}00${value.toString(16).padStart(2, "0")}000000`, "hex"),
  );
  const body = Buffer.concat(fields);
  const length = Buffer.alloc(4);
  length.writeInt32LE(body.length + 5);
  return Buffer.concat([length, body, Buffer.of(0)]);
};

test("the source's fields in its order, then what is the target's own: names that are no UTF-8 are names of their own", () => {
  fc.assert(
    fc.property(documents, documents, fc.subarray(NAMES), (target, source, sent) => {
      // Which paths are the source's is told by text: the texts of single fields, as `differing` gives them.
      const textOf = (name: string): string => differing(encode(new Map([[name, 1]])), encode(new Map()))[0] ?? "";
      const texts = new Set(sent.map(textOf));
      const isSource = (path: string): boolean => texts.has(path);
      const own = [...target].filter(([name]) => !source.has(name) && !sent.includes(name));
      assert.deepEqual(merge(encode(target), encode(source), isSource), encode(new Map([...source, ...own])));
      const kept = new Map([...target].filter(([name]) => !sent.includes(name)));
      assert.deepEqual(remainder(encode(target), isSource), kept.size === 0 ? undefined : encode(kept));
    }),
    { numRuns: 3000 },
  );
});
