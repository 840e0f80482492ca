import assert from "node:assert/strict";
import { test } from "node:test";
import type { ErrorCode } from "#base/errors/catalogue.ts";
import { isFerry } from "#base/errors/ferryError.ts";
import { checkDeployments } from "#process/capture/captureChecks.ts";
import type { Deployment } from "#source/stream/deployment.ts";

const deployment = (name: string, more: Partial<Deployment> = {}): Deployment => ({
  kind: "replicaSet",
  version: "8.0.4",
  setName: name,
  hosts: [`${name}-a:27017`, `${name}-b:27017`],
  process: `process of ${name}`,
  clusterId: undefined,
  id: undefined,
  ...more,
});

const refused = (source: Partial<Deployment>, target: Partial<Deployment>, code: ErrorCode, sentence: RegExp): void =>
  assert.throws(
    () => checkDeployments(deployment("source", source), deployment("target", target)),
    (error) => isFerry(error, code) && sentence.test(error.detail),
  );

test("servers that are too old are refused, each by its side and version", () => {
  refused({ version: "3.6.23" }, {}, "FERRY_SERVER_TOO_OLD", /^the source is MongoDB 3\.6\.23; ferry needs /);
  refused({}, { version: "3.4.0" }, "FERRY_SERVER_TOO_OLD", /^the target is MongoDB 3\.4\.0; ferry needs /);
});

test("one deployment under two names is noticed, also from two of its members", () => {
  refused({ process: "p" }, { process: "p" }, "FERRY_SAME_SERVER", /same MongoDB deployment/);
  const set = { setName: "rs", hosts: ["a:1", "b:1"] };
  refused({ ...set, process: "p" }, { ...set, process: "q" }, "FERRY_SAME_SERVER", /same MongoDB deployment/);
  checkDeployments(deployment("source", { setName: "rs" }), deployment("target", { setName: "rs" })); // a name is not enough
});

test("two routers of one sharded cluster are the same deployment, those of two clusters are not", () => {
  const router = (process: string, clusterId: string | undefined): Partial<Deployment> => ({
    kind: "sharded",
    setName: undefined,
    hosts: [],
    process,
    clusterId,
  });
  refused(router("p", "64a1"), router("q", "64a1"), "FERRY_SAME_SERVER", /same MongoDB deployment/);
  checkDeployments(deployment("source", router("p", "64a1")), deployment("target", router("q", "64a2")));
  checkDeployments(deployment("source", router("p", undefined)), deployment("target", router("q", undefined)));
});

test("a source without an oplog is refused, a target without one is not", () => {
  refused({ kind: "standalone" }, {}, "FERRY_SOURCE_STANDALONE", /8\.0\.4/);
  checkDeployments(deployment("source"), deployment("target", { kind: "standalone" }));
});
