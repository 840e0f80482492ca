import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON } from "bson";
import { optionsDocument, optionsIn } from "#structure/model/options.ts";
import { fencedValidation, fencing, lifting, withoutFence } from "#structure/model/writeFence.ts";

const decoded = (options: Parameters<typeof optionsDocument>[0]) => BSON.deserialize(optionsDocument(options));

test("a fence carries the validation that it stands in for, and a reader of the structure sees that validation", () => {
  const own = { validator: { $jsonSchema: { required: ["n"] } }, validationLevel: "moderate", capped: false };
  const options = optionsIn(BSON.serialize(own));
  const fenced = { ...options, ...fencing(options) };
  assert.deepEqual(decoded(withoutFence(fenced)), {
    ...{ capped: false, validator: own.validator, validationLevel: "moderate" },
  });
  const former = fencedValidation(fenced);
  assert.ok(former !== undefined);
  assert.deepEqual(decoded(lifting(former)), {
    ...{ validator: own.validator, validationLevel: "moderate", validationAction: "error" },
  });
});

test("without a validator before, nothing of one is left for a reader", () => {
  const fenced = fencing({});
  assert.deepEqual(withoutFence(fenced), {});
  // As the server lists it when the fence is lifted: level and action stay.
  const { validationLevel, validationAction } = lifting(fencedValidation(fenced) ?? {});
  assert.ok(validationLevel !== undefined && validationAction !== undefined);
  assert.deepEqual(withoutFence({ validationLevel, validationAction }), {});
});

test("validators of services' own are no fences, whatever they look like", () => {
  for (const validator of [{}, { $expr: false }, { $expr: { $eq: ["a", "b"] } }, { $expr: { $eq: "x" } }, { n: 1 }]) {
    const options = optionsIn(BSON.serialize({ validator }));
    assert.equal(fencedValidation(options), undefined, JSON.stringify(validator));
  }
});
