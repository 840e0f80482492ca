import { FerryError } from "#base/errors/ferryError.ts";
import type { KafkaClient } from "./client.ts";

/** Kafka, for what cannot be done without it. @throws FERRY_USAGE where it was not given */
export const requireKafka = (kafka: KafkaClient | undefined): KafkaClient => {
  if (kafka === undefined) throw new FerryError("FERRY_USAGE", "the target is fed through Kafka; give --kafka");
  return kafka;
};
