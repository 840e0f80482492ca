import { type TSchema, Type } from "typebox";

/** Shapes that several answers share. */

export const orNull = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

export const TEXT = Type.String();
export const NUMBER = Type.Number();
export const INTEGER = Type.Integer();
export const FLAG = Type.Boolean();
/** A value of a document, as extended JSON; null for roles that see no documents. */
export const VALUE = Type.Unknown({ description: "Extended JSON; null for a viewer." });

/** A time, ISO 8601 in UTC. */
export const TIME = Type.String({ format: "date-time" });

export const MS = Type.Number({ description: "Milliseconds." });

/** Milliseconds since the epoch. */
export const EPOCH_MS = Type.Number({ description: "Milliseconds since the epoch." });

/** An error's code: docs/errors.md. */
export const CODE = Type.String({ description: "An error code of docs/errors.md." });

/** Why something is as it is. A viewer gets the general sentence of the code. */
export const REASON = Type.Object({ code: CODE, detail: TEXT });

export const NAMED_COUNTS = Type.Record(Type.String(), Type.Integer());

/** What every answer that is no success holds. */
export const PROBLEM = Type.Object({
  code: CODE,
  detail: Type.String({ description: "What happened." }),
  hint: Type.String({ description: "What to do about it." }),
});

/** How many of a list are asked for. */
export const DEFAULT_LIMIT = 100;
export const LIMIT = Type.Integer({ minimum: 1, maximum: 10_000, default: DEFAULT_LIMIT });

export const ROUTE_NAME = Type.String({ minLength: 1, description: "Name of a route." });
