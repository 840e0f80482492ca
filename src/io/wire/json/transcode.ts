import { BsonType, MAX_DEPTH } from "#base/bson/walk.ts";
import { BsonWriter } from "#base/bson/writer.ts";
import { smallInteger, writeFastWrapper } from "./fastWrappers.ts";
import { isNumberLiteral, parseInt64 } from "./scalars.ts";
import {
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  copyString,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
  skipSpace,
  skipWord,
} from "./scan.ts";
import { type WrapperContext, writeWrapper } from "./wrappers.ts";

/** An event nests a document one or two levels deeper. */
const DEPTH = MAX_DEPTH + 4;

/** What only version 2 of extended JSON writes. */
const VERSION_2 = ['"$numberInt"', '"$numberDouble"', '"$regularExpression"', '"base64"'];
const VERSION_2_DATE = /"\$date"\s*:\s*[{"]/;

/**
 * Extended JSON text → BSON bytes, without JavaScript values between them: the order of fields, numeric and repeated
 * names, and the difference between 5, 5.0 and 5000000000 survive. Reads the canonical, relaxed and the connector's
 * legacy dialect, bare NaN and Infinity included.
 */
export class Transcoder {
  /** Why the last text was refused, as part of a sentence. */
  problem = "";

  readonly #out = new BsonWriter(4096);
  #text: Buffer = Buffer.alloc(0);
  #depth = 0;
  #legacy: boolean | undefined;
  readonly #context: { -readonly [K in keyof WrapperContext]: WrapperContext[K] } = {
    text: this.#text,
    out: this.#out,
    legacy: () => this.#isLegacy(),
    document: (at) => this.#document(at),
  };

  /** The document that `text` is from `start` to `end`, as bytes of its own; undefined with `problem` set otherwise. */
  document(text: Buffer, start = 0, end = text.length): Buffer | undefined {
    this.#begin(start === 0 && end === text.length ? text : text.subarray(start, end));
    const at = skipSpace(this.#text, 0);
    if (this.#text[at] !== OPEN_OBJECT) return this.#refuse("it is not a JSON object", at);
    return this.#finish(this.#document(at));
  }

  /**
   * Any JSON value as the one field of a document, named "". For values that travel as text of their own.
   */
  value(text: Buffer, start = 0, end = text.length): Buffer | undefined {
    this.#begin(start === 0 && end === text.length ? text : text.subarray(start, end));
    const out = this.#out;
    const open = out.open();
    out.byte(0);
    out.byte(0);
    const after = this.#value(skipSpace(this.#text, 0), open + 4);
    if (after >= 0) out.close(open);
    return this.#finish(after);
  }

  #begin(text: Buffer): void {
    this.problem = "";
    this.#depth = 0;
    this.#legacy = undefined;
    this.#out.reset();
    this.#text = text;
    this.#context.text = text;
  }

  #finish(after: number): Buffer | undefined {
    if (after < 0) return undefined;
    const rest = skipSpace(this.#text, after);
    if (rest !== this.#text.length) return this.#refuse("something follows its end", rest);
    return this.#out.take();
  }

  /**
   * `{"$regex": "a", "$options": "i"}` is a regex in the legacy dialect and a plain subdocument in version 2. The
   * record itself tells: version 2 writes at least its dates and (canonical) numbers in its own way.
   */
  #isLegacy(): boolean {
    const text = this.#text;
    this.#legacy ??= !VERSION_2.some((mark) => text.includes(mark)) && !VERSION_2_DATE.test(text.toString("latin1"));
    return this.#legacy;
  }

  #refuse(problem: string, at: number): undefined {
    this.problem ||= `${problem} at byte ${at}`;
    return undefined;
  }

  #fail(problem: string, at: number): -1 {
    this.#refuse(problem, at);
    return -1;
  }

  /** `at` is an opening brace: writes length, elements and zero. The position after the closing brace. */
  #document(at: number): number {
    if (++this.#depth > DEPTH) return this.#fail(`it nests deeper than ${DEPTH} levels`, at);
    const out = this.#out;
    const open = out.open();
    const text = this.#text;
    let i = skipSpace(text, at + 1);
    if (text[i] === CLOSE_OBJECT) i++;
    else i = this.#members(i);
    out.close(open);
    this.#depth--;
    return i;
  }

  #members(from: number): number {
    const text = this.#text;
    let i = from;
    for (;;) {
      if (text[i] !== QUOTE) return this.#fail("a field name is expected", i);
      const typeAt = this.#out.length;
      this.#out.byte(0);
      i = this.#name(i);
      if (i < 0) return -1;
      i = skipSpace(text, i);
      if (text[i] !== COLON) return this.#fail("a colon is expected", i);
      i = this.#value(skipSpace(text, i + 1), typeAt);
      if (i < 0) return -1;
      i = skipSpace(text, i);
      if (text[i] === CLOSE_OBJECT) return i + 1;
      if (text[i] !== COMMA) return this.#fail("a comma or closing brace is expected", i);
      i = skipSpace(text, i + 1);
    }
  }

  #name(at: number): number {
    const out = this.#out;
    const start = out.length;
    const after = copyString(this.#text, at, out);
    if (after < 0) return this.#fail("a field name is not a sound JSON string", at);
    // A zero byte can only come from an escape, and escapes shrink.
    if (out.length - start !== after - at - 2 && out.bytes.subarray(start, out.length).includes(0))
      return this.#fail("a field name holds a zero byte", at);
    out.byte(0);
    return after;
  }

  #array(at: number): number {
    if (++this.#depth > DEPTH) return this.#fail(`it nests deeper than ${DEPTH} levels`, at);
    const out = this.#out;
    const open = out.open();
    const text = this.#text;
    let i = skipSpace(text, at + 1);
    if (text[i] === CLOSE_ARRAY) i++;
    else {
      for (let index = 0; ; index++) {
        i = this.#value(i, out.element(0, String(index)));
        if (i < 0) return -1;
        i = skipSpace(text, i);
        if (text[i] === CLOSE_ARRAY) break;
        if (text[i] !== COMMA) return this.#fail("a comma or closing bracket is expected", i);
        i = skipSpace(text, i + 1);
      }
      i++;
    }
    out.close(open);
    this.#depth--;
    return i;
  }

  /** Writes the value at `at` and its type into the byte at `typeAt`. The position after it, or -1. */
  #value(at: number, typeAt: number): number {
    const out = this.#out;
    const byte = this.#text[at];
    if (byte === QUOTE) {
      out.bytes[typeAt] = BsonType.string;
      return this.#string(at);
    }
    if (byte === OPEN_OBJECT) return this.#object(at, typeAt);
    if (byte === OPEN_ARRAY) {
      out.bytes[typeAt] = BsonType.array;
      return this.#array(at);
    }
    const end = skipWord(this.#text, at);
    if (end < 0) return this.#fail("a value is expected", at);
    const small = smallInteger(this.#text, at, end);
    // A leading zero is no JSON number; let the slow path say so.
    if (small === (small | 0) && (byte !== 0x30 || end === at + 1) && byte !== 0x2d) {
      out.bytes[typeAt] = BsonType.int32;
      out.rawInt32(small);
      return end;
    }
    return this.#word(this.#text.toString("latin1", at, end), typeAt) ? end : this.#fail("a word is no JSON value", at);
  }

  #object(at: number, typeAt: number): number {
    const first = skipSpace(this.#text, at + 1);
    if (this.#text[first + 1] === 0x24) {
      const fast = writeFastWrapper(this.#text, at, first, this.#out, typeAt);
      if (fast >= 0) return fast;
      const after = writeWrapper(this.#context, at, first, typeAt);
      if (after >= 0) return after;
      if (this.problem !== "") return -1;
    }
    this.#out.bytes[typeAt] = BsonType.object;
    return this.#document(at);
  }

  #string(at: number): number {
    const out = this.#out;
    const open = out.open();
    const after = copyString(this.#text, at, out);
    if (after < 0) return this.#fail("a string is not sound JSON", at);
    out.byte(0);
    out.putInt32(open, out.length - open - 4);
    return after;
  }

  #word(word: string, typeAt: number): boolean {
    const out = this.#out;
    switch (word) {
      case "null":
        out.bytes[typeAt] = BsonType.null;
        return true;
      case "true":
      case "false":
        out.bytes[typeAt] = BsonType.boolean;
        out.byte(word === "true" ? 1 : 0);
        return true;
      case "NaN":
      case "Infinity":
      case "-Infinity":
        out.bytes[typeAt] = BsonType.double;
        out.rawDouble(Number(word));
        return true;
      default:
        return this.#number(word, typeAt);
    }
  }

  /** An integer takes the smallest type that holds it; a fraction or exponent makes a double. */
  #number(word: string, typeAt: number): boolean {
    if (!isNumberLiteral(word)) return false;
    const out = this.#out;
    const long = parseInt64(word);
    if (long !== undefined && BigInt.asIntN(32, long) === long) {
      out.bytes[typeAt] = BsonType.int32;
      out.rawInt32(Number(long));
      return true;
    }
    out.bytes[typeAt] = long === undefined ? BsonType.double : BsonType.int64;
    if (long === undefined) out.rawDouble(Number(word));
    else out.rawInt64(long);
    return true;
  }
}
