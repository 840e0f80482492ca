/** Server-sent events as they arrive, in pieces of any length. */
export class EventText {
  #rest = "";

  /** The data of the events that this piece completes. */
  add(piece: string): readonly string[] {
    const parts = (this.#rest + piece).split("\n\n");
    this.#rest = parts.pop() ?? "";
    return parts.flatMap((part) => {
      const data = /^data: (.*)$/m.exec(part)?.[1];
      return data === undefined ? [] : [data];
    });
  }
}
