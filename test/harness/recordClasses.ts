import { join } from "node:path";
import { ensureJava } from "#tools/stack/javaArtefact.ts";
import { startKafka } from "#tools/stack/kafka.ts";
import { ensureKafka } from "#tools/stack/kafkaArtefact.ts";
import { startConnect } from "#tools/stack/kafkaConnect.ts";
import { sharedClasses } from "#tools/stack/sharedClasses.ts";
import { tempFolder } from "./folders.ts";

/** One start and end of Kafka and Connect, where none has recorded yet what they load: dozens of starts follow. */
export const recordClasses = async (): Promise<void> => {
  const silent = (): void => undefined;
  const [java, libs] = [await ensureJava(silent), await ensureKafka(silent)];
  const areRecorded = async (): Promise<boolean> => {
    const options = [await sharedClasses("kafka", java, libs), await sharedClasses("connect", java, libs)].flat();
    return !options.some((option) => option.startsWith("-XX:ArchiveClassesAtExit"));
  };
  if (await areRecorded()) return;
  console.log("recording which classes Kafka and Connect load, once");
  using folder = tempFolder();
  {
    await using broker = await startKafka({ dir: join(folder.path, "kafka") });
    await using _connect = await startConnect({ dir: join(folder.path, "connect"), bootstrap: broker.bootstrap });
  }
  console.log((await areRecorded()) ? "recorded" : "this Java recorded nothing; it starts without");
};
