import { formatDecimal, readDecimal } from "./decimal.ts";
import { BsonType, Cursor, int32At, uint32At } from "./walk.ts";

/**
 * BSON → extended JSON text on one line, for people and logs: relaxed, or canonical where types must show. Reads the
 * bytes directly, so that repeated names, their order and deprecated types show as they are.
 * Source: https://github.com/mongodb/specifications, Extended JSON 2.
 */
export type TextOptions = Readonly<{
  canonical?: boolean;
  /** Stop soon after this many characters; the result is then longer than this and not whole. */
  limit?: number;
}>;

const utf8 = (bytes: Buffer, start: number, end: number): string => JSON.stringify(bytes.toString("utf8", start, end));

const cstringEnd = (bytes: Uint8Array, at: number): number => bytes.indexOf(0, at);

/** Keeps 5.0 apart from 5. */
const doubleText = (value: number, canonical: boolean): string => {
  if (!Number.isFinite(value)) return `{"$numberDouble":"${value}"}`;
  const digits = Object.is(value, -0) ? "-0" : String(value);
  const text = /[.e]/.test(digits) ? digits : `${digits}.0`;
  return canonical ? `{"$numberDouble":"${text}"}` : text;
};

/** The end of the year 9999, beyond which ISO dates have no agreed form. */
const LAST_ISO = 253402300799999n;

const dateText = (millis: bigint, canonical: boolean): string =>
  canonical || millis < 0n || millis > LAST_ISO
    ? `{"$date":{"$numberLong":"${millis}"}}`
    : `{"$date":"${new Date(Number(millis)).toISOString()}"}`;

const binaryText = (bytes: Buffer, start: number, end: number): string => {
  const subType = bytes[start + 4] as number;
  const from = subType === 2 && end - start >= 9 ? start + 9 : start + 5;
  const base64 = bytes.toString("base64", from, end);
  return `{"$binary":{"base64":"${base64}","subType":"${subType.toString(16).padStart(2, "0")}"}}`;
};

const regexText = (bytes: Buffer, start: number): string => {
  const end = cstringEnd(bytes, start);
  const options = utf8(bytes, end + 1, cstringEnd(bytes, end + 1));
  return `{"$regularExpression":{"pattern":${utf8(bytes, start, end)},"options":${options}}}`;
};

const hex = (bytes: Buffer, start: number): string => bytes.toString("hex", start, start + 12);

/** Builds the text piece by piece and stops taking pieces at the limit. */
class Printer {
  text = "";
  readonly #canonical: boolean;
  readonly #limit: number;

  constructor(options: TextOptions) {
    this.#canonical = options.canonical ?? false;
    this.#limit = options.limit ?? Infinity;
  }

  document(bytes: Buffer, start: number, named: boolean): void {
    const cursor = new Cursor();
    this.text += named ? "{" : "[";
    cursor.open(bytes, start);
    let separator = "";
    while (this.text.length <= this.#limit && cursor.next()) {
      this.text += separator;
      if (named) this.text += `${utf8(bytes, cursor.nameStart, cursor.nameEnd)}:`;
      this.#value(bytes, cursor.type, cursor.valueStart, cursor.valueEnd);
      separator = ",";
    }
    this.text += named ? "}" : "]";
  }

  #value(bytes: Buffer, type: number, start: number, end: number): void {
    if (type === BsonType.object || type === BsonType.array) this.document(bytes, start, type === BsonType.object);
    else if (type === BsonType.codeWithScope) {
      const scope = start + 8 + int32At(bytes, start + 4);
      this.text += `{"$code":${utf8(bytes, start + 8, scope - 1)},"$scope":`;
      this.document(bytes, scope, true);
      this.text += "}";
    } else this.text += this.#scalar(bytes, type, start, end);
  }

  #scalar(bytes: Buffer, type: number, start: number, end: number): string {
    switch (type) {
      case BsonType.double:
        return doubleText(bytes.readDoubleLE(start), this.#canonical);
      case BsonType.string:
        return utf8(bytes, start + 4, end - 1);
      case BsonType.binary:
        return binaryText(bytes, start, end);
      case BsonType.objectId:
        return `{"$oid":"${hex(bytes, start)}"}`;
      case BsonType.boolean:
        return bytes[start] === 0 ? "false" : "true";
      case BsonType.date:
        return dateText(bytes.readBigInt64LE(start), this.#canonical);
      case BsonType.null:
        return "null";
      case BsonType.int32:
        return this.#canonical ? `{"$numberInt":"${int32At(bytes, start)}"}` : String(int32At(bytes, start));
      case BsonType.int64: {
        const value = bytes.readBigInt64LE(start);
        return this.#canonical ? `{"$numberLong":"${value}"}` : String(value);
      }
      case BsonType.timestamp:
        return `{"$timestamp":{"t":${uint32At(bytes, start + 4)},"i":${uint32At(bytes, start)}}}`;
      case BsonType.decimal128:
        return `{"$numberDecimal":"${formatDecimal(readDecimal(bytes, start))}"}`;
      default:
        return this.#rare(bytes, type, start, end);
    }
  }

  #rare(bytes: Buffer, type: number, start: number, end: number): string {
    switch (type) {
      case BsonType.undefined:
        return '{"$undefined":true}';
      case BsonType.regex:
        return regexText(bytes, start);
      case BsonType.dbPointer:
        return `{"$dbPointer":{"$ref":${utf8(bytes, start + 4, end - 13)},"$id":{"$oid":"${hex(bytes, end - 12)}"}}}`;
      case BsonType.code:
        return `{"$code":${utf8(bytes, start + 4, end - 1)}}`;
      case BsonType.symbol:
        return `{"$symbol":${utf8(bytes, start + 4, end - 1)}}`;
      case BsonType.minKey:
        return '{"$minKey":1}';
      default:
        return '{"$maxKey":1}';
    }
  }
}

/** Extended JSON of a validated document. */
export const bsonText = (bytes: Uint8Array, options: TextOptions = {}): string => {
  const printer = new Printer(options);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  printer.document(buffer, 0, true);
  return printer.text;
};
