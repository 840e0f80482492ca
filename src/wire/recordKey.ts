/**
 * What a Kafka record is keyed by. Only records keyed by documentKey keep one document's events in one partition, so
 * the worker refuses topics with several partitions that are keyed otherwise (`change.stream.document.key.as.key`).
 * `resumeToken` stands for the event's own `_id`: the token of a streamed event, the marker of a copied one.
 */
export type Keyed = "documentKey" | "resumeToken" | "none" | "other";
