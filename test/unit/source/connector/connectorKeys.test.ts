import assert from "node:assert/strict";
import { test } from "node:test";
import { unknownKeys } from "#source/connector/connectorKeys.ts";

const KNOWN = ["connector.class", "startup.mode", "transforms", "topic.creation.groups", "errors.tolerance"];

test("what Connect neither lists nor takes below a prefix is unknown", () => {
  const config = {
    name: "x",
    "connector.class": "MongoSourceConnector",
    "startup.mod": "copy_existing",
    "errors.tolerence": "all",
    "producer.override.linger.ms": "0",
    "producer.override.": "0",
    "key.converter.schemas.enable": "false",
    transforms: "one, two",
    "transforms.two.type": "a",
    "transforms.three.type": "a",
    "topic.creation.groups": "wide",
    "topic.creation.wide.partitions": "4",
    "topic.creation.default.partitions": "4",
    "topic.creation.defualt.partitions": "4",
  };
  assert.deepEqual(unknownKeys(config, KNOWN), [
    "startup.mod",
    "errors.tolerence",
    "producer.override.",
    "transforms.three.type",
    "topic.creation.defualt.partitions",
  ]);
});
