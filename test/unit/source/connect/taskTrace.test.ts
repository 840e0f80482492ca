import assert from "node:assert/strict";
import { test } from "node:test";
import { readTrace } from "#source/connect/taskTrace.ts";

/** Traces of the connector 2.0.1 on Connect 4.3.1, as the REST API gave them; most `at` lines cut. */
const trace = (first: string, ...causes: string[]): string =>
  [
    `org.apache.kafka.connect.errors.ConnectException: ${first}`,
    "\tat org.apache.kafka.connect.runtime.AbstractWorkerSourceTask.execute(AbstractWorkerSourceTask.java:372)",
    ...causes.flatMap((cause) => [
      `Caused by: ${cause}`,
      "\tat java.base/java.lang.Thread.run(Thread.java:840)",
      "\t... 14 more",
    ]),
  ].join("\n");

const QUERY = "com.mongodb.MongoQueryException: Query failed with";

test("a record beyond the producer's or the broker's limit", () => {
  const client = trace(
    "Unrecoverable exception from producer send callback",
    "org.apache.kafka.common.errors.RecordTooLargeException: The message is 1500557 bytes when serialized which is larger than 1048576, which is the value of the max.request.size configuration.",
  );
  assert.deepEqual(readTrace(client), {
    code: "FERRY_CAPTURE_RECORD_TOO_LARGE",
    line: "RecordTooLargeException: The message is 1500557 bytes when serialized which is larger than 1048576, which is the value of the max.request.size configuration.",
  });
  const broker = trace("x", "The request included a message larger than the max message size the server will accept.");
  assert.equal(readTrace(broker).code, "FERRY_CAPTURE_RECORD_TOO_LARGE");
});

test("a resume position that left the oplog", () => {
  const { code, line } = readTrace(
    trace(
      "ResumeToken not found. Cannot create a change stream cursor",
      "com.mongodb.MongoCommandException: Command failed with error 286 (ChangeStreamHistoryLost): 'PlanExecutor error during aggregation :: caused by :: Resume of change stream was not possible, as the resume point may no longer be in the oplog.' on server mongo-source:27017",
    ),
  );
  assert.equal(code, "FERRY_CAPTURE_HISTORY_LOST");
  assert.match(line, /^MongoCommandException: Command failed with error 286/);
});

test("an event larger than 16 MB; its long line is cut", () => {
  const tooLarge = `error code 10334 with name 'BSONObjectTooLarge' and error message 'BSONObj size: 22800379 is invalid. ${"x".repeat(400)}'`;
  const { code, line } = readTrace(trace("An exception occurred", `${QUERY} ${tooLarge}`));
  assert.equal(code, "FERRY_CAPTURE_EVENT_TOO_LARGE");
  assert.equal(line.length, 301);
});

test("heartbeats with BSON keys", () => {
  const { code, line } = readTrace(
    trace(
      "Tolerance exceeded in error handler",
      "org.apache.kafka.connect.errors.DataException: Invalid schema type for ByteArrayConverter: STRING",
    ),
  );
  assert.deepEqual(
    { code, line },
    {
      code: "FERRY_CAPTURE_KEY_FORMAT",
      line: "DataException: Invalid schema type for ByteArrayConverter: STRING",
    },
  );
});

test("anything else is named by its innermost cause", () => {
  const { code, line } = readTrace(
    trace(
      "Failed to start MongoDB source task",
      "com.mongodb.MongoSecurityException: Exception authenticating",
      "com.mongodb.MongoCommandException: Command failed with error 18",
    ),
  );
  assert.deepEqual(
    { code, line },
    {
      code: "FERRY_CAPTURE_TASK_FAILED",
      line: "MongoCommandException: Command failed with error 18",
    },
  );
  assert.equal(readTrace("").line, "no trace");
});

test("a collection whose topic Kafka refuses", () => {
  const { code } = readTrace(
    trace(
      "Unrecoverable exception from producer send callback",
      "java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.InvalidTopicException: The request attempted to perform an operation on an invalid topic.",
    ),
  );
  assert.equal(code, "FERRY_CAPTURE_TOPIC_NAME");
});
