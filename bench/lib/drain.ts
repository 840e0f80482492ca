/** A bare consumer: reads a topic again and again and only counts. Usage: drain.ts BOOTSTRAP TOPIC; runs until killed. */
import { KafkaClient } from "#io/kafka/client.ts";

const [, , bootstrap = "", topic = ""] = process.argv;
const probe = new KafkaClient({ bootstrap, clientId: "drain", group: "drain" });
const ends = await probe.offsets(topic, "latest");
let said = false;

await Promise.all(
  ends.map(async (end, partition) => {
    const kafka = new KafkaClient({ bootstrap, clientId: `drain-${partition}`, group: "drain" });
    for (let offset = 0; ; ) {
      const result = await kafka.fetch({ topic, partition, offset, maxBytes: 512 * 1024, maxWaitMs: 500 });
      offset = result.end >= end ? 0 : result.end;
      if (!said) console.log("reading");
      said = true;
    }
  }),
);
