import { clientOptions } from "./address.ts";
import type { KafkaOptions } from "./client.ts";
import { kafkaError } from "./kafkaErrors.ts";
import { library } from "./library.ts";

/** Settings as the broker reports them, defaults resolved; absent where the user may not read them. */
export type KafkaSettings = Readonly<{
  /** `host:port` of each broker. */
  brokers: readonly string[];
  /** Settings of the first broker: the defaults of new topics. */
  broker: Readonly<Record<string, string>>;
  topics: ReadonlyMap<string, Readonly<Record<string, string>>>;
}>;

/** Reads brokers, and the effective settings of these topics. @throws FERRY_KAFKA_* */
export const readKafkaSettings = async (options: KafkaOptions, topics: readonly string[]): Promise<KafkaSettings> => {
  const { Admin, ConfigResourceTypes } = library();
  const admin = new Admin({ ...clientOptions(options, options.clientId), timeout: 10_000 });
  try {
    const { brokers } = await admin.metadata({ topics: [] });
    const ids = [...brokers.keys()];
    const resources = [
      ...ids.slice(0, 1).map((id) => ({ resourceType: ConfigResourceTypes.BROKER, resourceName: String(id) })),
      ...topics.map((resourceName) => ({ resourceType: ConfigResourceTypes.TOPIC, resourceName })),
    ].map((resource) => ({ ...resource, configurationKeys: [] }));
    const described = await admin.describeConfigs({ resources });
    const settings = described.map(
      ({ resourceType, resourceName, configs }) =>
        [
          resourceType,
          resourceName,
          Object.fromEntries(configs.map(({ name, value }) => [name, value ?? ""])),
        ] as const,
    );
    return {
      brokers: [...brokers.values()].map(({ host, port }) => `${host}:${port}`),
      broker: settings.find(([type]) => type === ConfigResourceTypes.BROKER)?.[2] ?? {},
      topics: new Map(
        settings.flatMap(([type, name, values]) =>
          type === ConfigResourceTypes.TOPIC ? [[name, values] as const] : [],
        ),
      ),
    };
  } catch (error) {
    throw kafkaError(error, "reading Kafka's settings");
  } finally {
    await admin.close();
  }
};
