import { type KafkaSecurity, readKafkaSecurity } from "./security.ts";

/** Where Kafka is, and how it is spoken to. */
export type KafkaAddress = Readonly<{
  /** host:port, comma-separated. */
  bootstrap: string;
  security?: KafkaSecurity;
}>;

/** Of the command line and the environment. */
type Given = Readonly<{ kafka?: string | undefined; kafkaConfig?: string | undefined }>;

/** As the settings say it. @throws FERRY_CONFIG */
export const kafkaAddress = ({ kafka = "", kafkaConfig }: Given): KafkaAddress => ({
  bootstrap: kafka,
  ...(kafkaConfig === undefined ? {} : { security: readKafkaSecurity(kafkaConfig) }),
});

/** What every client of the library is given. Retries are off: one retry loop in ferry (flow/retry.ts), which logs and takes a signal. */
export const clientOptions = ({ bootstrap, security }: KafkaAddress, clientId: string) => ({
  clientId,
  bootstrapBrokers: bootstrap.split(",").map((broker) => broker.trim()),
  retries: 0,
  ...(security?.tls === undefined ? {} : { tls: security.tls }),
  ...(security?.sasl === undefined ? {} : { sasl: security.sasl }),
});
