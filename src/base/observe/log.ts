import { pino } from "pino";
import { isFerry } from "#base/errors/ferryError.ts";
import { withoutSecrets } from "#base/errors/secrets.ts";

/** The closed list of fields a log line may carry beside its sentence. Bodies and URIs are never among them. */
export type LogFields = Readonly<
  Partial<{
    run: string;
    stage: string;
    stream: string;
    lane: string;
    worker: string;
    ns: string;
    route: string;
    topic: string;
    partition: number;
    offset: number;
    position: string;
    epoch: number;
    count: number;
    bytes: number;
    ms: number;
    /** Part of the time in which a throttle lets work be done. */
    share: number;
    attempt: number;
    code: string;
    hint: string;
    err: unknown;
  }>
>;

export interface Logger {
  debug(fields: LogFields, sentence: string): void;
  info(fields: LogFields, sentence: string): void;
  warn(fields: LogFields, sentence: string): void;
  /** Needs a person: carries `code` and `hint` when `err` is a FerryError. */
  error(fields: LogFields, sentence: string): void;
}

const withCode = (fields: LogFields): LogFields =>
  isFerry(fields.err)
    ? { ...fields, code: fields.err.code, hint: fields.err.entry.hint, err: fields.err.detail }
    : fields;

/** An error that is none of ferry's: its own text and trace alone, since its other properties may be a client with its options. */
const textOf = (value: unknown): unknown => (value instanceof Error ? (value.stack ?? value.message) : value);

/** Fields as they may be shown: an error with its code and remedy, texts without secrets. */
export const shownFields = (fields: LogFields): LogFields =>
  Object.fromEntries(
    Object.entries(withCode(fields)).map(([name, value]) => {
      const text = textOf(value);
      return [name, typeof text === "string" ? withoutSecrets(text) : text];
    }),
  );

/** JSON lines on stderr, so that stdout stays the command's own output. `level`: debug | info | warn | error | silent. */
export const createLogger = (level: string): Logger => {
  const out = pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 2, sync: true }),
  );
  return {
    debug: (fields, sentence) => out.debug(shownFields(fields), withoutSecrets(sentence)),
    info: (fields, sentence) => out.info(shownFields(fields), withoutSecrets(sentence)),
    warn: (fields, sentence) => out.warn(shownFields(fields), withoutSecrets(sentence)),
    error: (fields, sentence) => out.error(shownFields(fields), withoutSecrets(sentence)),
  };
};
