import { join } from "node:path";
import { ensureJava } from "#tools/stack/javaArtefact.ts";
import { startKafka } from "#tools/stack/kafka.ts";
import { ensureKafka } from "#tools/stack/kafkaArtefact.ts";
import { startConnect } from "#tools/stack/kafkaConnect.ts";
import { isRecorded } from "#tools/stack/sharedClasses.ts";
import { tempFolder } from "./folders.ts";

/** One start and end of Kafka and Connect, where none has recorded yet what they load: dozens of starts follow. */
export const recordClasses = async (): Promise<void> => {
  const silent = (): void => undefined;
  const [java, libs] = [await ensureJava(silent), await ensureKafka(silent)];
  if ((await isRecorded("kafka", java, libs)) && (await isRecorded("connect", java, libs))) return;
  using folder = tempFolder();
  {
    await using broker = await startKafka({ dir: join(folder.path, "kafka") });
    await using _connect = await startConnect({ dir: join(folder.path, "connect"), bootstrap: broker.bootstrap });
  }
  const done = (await isRecorded("kafka", java, libs)) && (await isRecorded("connect", java, libs));
  console.log(done ? "Kafka's and Connect's classes are recorded" : "this Java records no classes");
};
