import type { Db, Document } from "mongodb";
import type { FaultPoint } from "#flow/fault.ts";
import { pick, type Random } from "#run/genData.ts";

type Change = "index" | "dropIndex" | "create" | "drop" | "rename" | "renameOver" | "collMod";

const ALL: readonly Change[] = ["index", "dropIndex", "create", "drop", "rename", "renameOver", "collMod"];

/** What makes a process come to a point that only a change of the collection itself leads to. */
const NEEDS: Partial<Readonly<Record<FaultPoint, readonly Change[]>>> = {
  "in-barrier": ALL,
  "after-barrier": ALL,
  "mid-drop": ["drop"],
  "mid-rename": ["rename", "renameOver"],
  "structure-noted": ["index"],
  "structure-built": ["index"],
};
/** How often the structure changes although no kill needs it. */
const OCCASIONALLY = 0.4;
const DOCUMENTS = 1500;

const documents = (from: number, count = DOCUMENTS): Document[] =>
  Array.from({ length: count }, (_, n) => ({ _id: from + n, x: "x".repeat(40) }));

/** Changes of the collections themselves, drawn from a seed, on collections that are there for this. */
export class DdlLoad {
  readonly #db: Db;
  readonly #random: Random;
  #count = 0;
  #renamed = "renamed0";
  #index: string | undefined;

  constructor(db: Db, random: Random) {
    this.#db = db;
    this.#random = random;
  }

  async prepare(): Promise<void> {
    await this.#db.collection(this.#renamed).insertMany(documents(0));
  }

  /** One change that leads to the point, or now and then any. */
  async forPoint(point: FaultPoint): Promise<void> {
    const needed = NEEDS[point];
    if (needed === undefined && this.#random() > OCCASIONALLY) return;
    await this.#do(pick(this.#random, needed ?? ALL));
  }

  async #do(change: Change): Promise<void> {
    const db = this.#db;
    const n = ++this.#count;
    switch (change) {
      case "index":
        this.#index = `index${n}`;
        await db.collection("b").createIndex({ [`field${n}`]: 1, _id: 1 }, { unique: true, name: this.#index });
        return;
      case "dropIndex":
        if (this.#index === undefined) return this.#do("index");
        await db.collection("b").dropIndex(this.#index);
        this.#index = undefined;
        return;
      case "create":
        await db.createCollection(`made${n}`, { collation: { locale: "de" } });
        await db.collection(`made${n}`).insertMany(documents(0, 20));
        return;
      case "drop":
        await db.collection(`dropped${n}`).insertMany(documents(0, 200));
        await db.collection(`dropped${n}`).drop();
        if (this.#random() < 0.5) await db.collection(`dropped${n}`).insertMany(documents(100, 30));
        return;
      case "rename":
      case "renameOver": {
        const to = `renamed${n}`;
        if (change === "renameOver") await db.collection(to).insertMany(documents(10_000, 100));
        await db.renameCollection(this.#renamed, to, { dropTarget: change === "renameOver" });
        this.#renamed = to;
        await db.collection(to).insertMany(documents(20_000 + n * 10, 5));
        return;
      }
      case "collMod":
        await db.command({ collMod: "b", validator: { _id: { $exists: true }, [`never${n}`]: { $exists: false } } });
        return;
      default:
        return change satisfies never;
    }
  }
}
