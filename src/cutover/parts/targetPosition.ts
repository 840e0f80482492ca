import type { WayBack } from "#cutover/machine/parts.ts";
import { type MongoClient, readTopology } from "#io/mongo/connect.ts";
import type { StoredToken } from "#source/stream/resumeToken.ts";
import { noteStart, type StartPoint } from "#source/stream/sourceProbe.ts";

/** A position of the target's change stream: what services write there from now on comes after it. */
export class TargetPosition implements WayBack {
  readonly #target: MongoClient;

  constructor(target: MongoClient) {
    this.#target = target;
  }

  async position(): Promise<Readonly<{ token: StoredToken; at: StartPoint["at"] }> | undefined> {
    if ((await readTopology(this.#target)).kind === "standalone") return undefined;
    const { token, at } = await noteStart(this.#target, { level: "cluster", db: "", coll: "" });
    return { token, at };
  }
}
