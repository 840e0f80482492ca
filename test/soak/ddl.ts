import type { Db, Document } from "mongodb";
import type { FaultPoint } from "#base/flow/fault.ts";
import { oneOf, type Random } from "#tools/workload/people.ts";

type Change =
  | ("index" | "dropIndex" | "collMod")
  | ("create" | "drop" | "rename" | "renameOver")
  | ("late" | "dropDatabase" | "convertToCapped" | "timeSeries");

const ALL: readonly Change[] = [
  ...(["index", "dropIndex", "collMod"] as const),
  ...(["create", "drop", "rename", "renameOver"] as const),
  ...(["late", "dropDatabase", "convertToCapped", "timeSeries"] as const),
];

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

/** The database that is carried beside another one, and is born after the start. */
export const lateName = (name: string): string => `${name}_late`;

/** Far above what is written: a cap that takes documents away does so without an event. */
const CAP_BYTES = 2 ** 20;
const SERIES_START = Date.UTC(2026, 0, 1);

const measurements = (from: number, count: number): Document[] =>
  Array.from({ length: count }, (_, i) => ({ t: new Date(SERIES_START + (from + i) * 60_000), m: i % 3, v: from + i }));

/** Changes of the collections themselves, drawn from a seed, on collections that are there for this. */
export class DdlLoad {
  readonly #db: Db;
  readonly #late: Db;
  readonly #random: Random;
  #count = 0;
  #renamed = "renamed0";
  #index: string | undefined;

  /** @param late the database that is born after the start */
  constructor(db: Db, late: Db, random: Random) {
    this.#db = db;
    this.#late = late;
    this.#random = random;
  }

  async prepare(): Promise<void> {
    await this.#db.collection(this.#renamed).insertMany(documents(0));
  }

  /** One change that leads to the point, or now and then any. */
  async forPoint(point: FaultPoint): Promise<void> {
    const needed = NEEDS[point];
    if (needed === undefined && this.#random() > OCCASIONALLY) return;
    await this.#do(oneOf(this.#random, needed ?? ALL));
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
      case "late":
        await this.#late.collection(`born${n}`).createIndex({ x: 1 }, { name: "born" });
        await this.#late.collection(`born${n}`).insertMany(documents(0, 40));
        return;
      case "dropDatabase":
        await this.#do("late");
        await this.#late.dropDatabase();
        if (this.#random() < 0.5) await this.#do("late");
        return;
      case "convertToCapped":
        await db.collection(`capped${n}`).insertMany(documents(0, 50));
        await db.command({ convertToCapped: `capped${n}`, size: CAP_BYTES });
        await db.collection(`capped${n}`).insertMany(documents(50, 10));
        return;
      case "timeSeries":
        await db.createCollection(`series${n}`, { timeseries: { timeField: "t", metaField: "m" } });
        await db.collection(`series${n}`).insertMany(measurements(0, 90));
        if (this.#random() < 0.3) await db.collection(`series${n}`).drop();
        else await db.collection(`series${n}`).deleteMany({ m: 1 });
        return;
      default:
        return change satisfies never;
    }
  }
}
